"""A provider to practise on: a local server speaking their API, with a ledger of its own."""
