"""The same shop, much smaller, in Django: transactions, the ORM in handlers, and tests with Django's own TestCase."""
