"""What the pages of a bundle say, as plain values that the typesetting only has to place.

All that is chosen, counted, shortened or worded for the PDF is chosen here; the templates draw.
"""
