"""Speed and accuracy, printed; nothing here decides a test."""
