"""A Qlik Cloud tenant: reloads, events, webhooks, rate limits and reports."""
