"""How Django writes times, by language."""
