"""Other libraries, in an environment of their own, asked the same questions in the same run."""
