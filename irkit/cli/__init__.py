"""The command line: parse, call the app, render, exit code. No decisions."""
