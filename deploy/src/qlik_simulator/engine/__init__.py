"""The QIX engine: sessions, handles, methods and layouts."""
