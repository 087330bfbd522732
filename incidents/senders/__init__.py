"""What other systems already speak, turned into reports: pure functions from bytes to values.

One module for each format. None of them touches the database; ``incidents.services.tracing`` and
``incidents.services.senders`` take what they return through the one door.
"""
