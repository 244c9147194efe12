"""The adapters: each imports suite, none imports another."""
