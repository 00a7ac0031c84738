"""Tests of irkit; the directories mirror irkit's."""
