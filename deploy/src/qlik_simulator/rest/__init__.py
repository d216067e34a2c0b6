"""The HTTP side: repository (QRS), proxy (QPS), Qlik Cloud REST, and the control API for tests."""
