"""Game days: a scenario is played on a stage, by people or by irkit, and judged by what became of the world."""
