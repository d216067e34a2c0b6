"""config-api: configuration over REST, sign-in, the Hub, status pages and the audit trail."""
