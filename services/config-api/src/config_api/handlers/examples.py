"""Examples of what is sent, by the name of its schema; a test sends them in this order."""

from typing import Any

EXAMPLES: dict[str, dict[str, Any]] = {
    "ConnectionDraft": {
        "id": "qlik",
        "name": "Qlik Sense",
        "kind": "client-managed",
        "settings": {
            "engine_url": "wss://qlik.example.com:4747",
            "qrs_url": "https://qlik.example.com:4242",
            "auth": {"kind": "certificate", "user_directory": "INTERNAL", "user_id": "sa_api"},
        },
        "secrets": {
            "auth.client_pem": "-----BEGIN CERTIFICATE-----",
            "auth.key_pem": "-----BEGIN PRIVATE KEY-----",
        },
    },
    "StorageSpaceDraft": {
        "id": "archive",
        "name": "Archive",
        "kind": "s3",
        "settings": {"endpoint": "https://s3.example.com", "bucket": "reports", "access_key": "broadsheet"},
        "secrets": {"secret_key": "the secret key"},
    },
    "ReportDraft": {
        "id": "delays",
        "name": "Delays",
        "connection_id": "qlik",
        "app_id": "5c1f8a52-6d0c-4a3e-9d2e-0d1f2a3b4c5d",
        "data": [
            {
                "kind": "table",
                "name": "by_destination",
                "dimensions": [{"name": "destination", "expression": "dest"}],
                "measures": [{"name": "flights", "expression": "Count(flight)"}],
                "sort": ["-flights"],
            }
        ],
    },
    "RecipientDraft": {
        "id": "ann",
        "name": "Ann",
        "email": "ann@example.com",
        "attributes": {"airline": "AA"},
    },
    "GroupDraft": {"id": "airlines", "name": "Airlines", "members": ["ann"]},
    "TaskDraft": {
        "id": "daily-delays",
        "name": "Daily delays",
        "reports": [
            {
                "id": "table",
                "report_id": "delays",
                "format": "xlsx",
                "conditions": [
                    {
                        "name": "There were flights",
                        "rules": [{"left": "=Count(flight)", "operator": ">", "right": "0"}],
                    }
                ],
                "storage": [{"storage_id": "archive", "path": "delays"}],
            }
        ],
        "recipients": [{"group_id": "airlines"}],
        "triggers": [
            {
                "kind": "schedule",
                "id": "daily-delays.mornings",
                "rule": {"kind": "cron", "expression": "0 6 * * 1-5"},
                "timezone": "Europe/Paris",
                "start": "2026-01-01T00:00:00Z",
            }
        ],
        "mail": {"subject": "{{ task.name }}", "body": "Good morning {{ recipient.name }}"},
        "notification": {"to": ["owner@example.com"]},
        "deadline": 3600,
    },
    "TemplateDraft": {"name": "Delays page", "tags": ["flights"]},
    "PreviewWish": {"format": "xlsx", "selections": [{"field": "carrier", "values": ["AA", "UA"]}]},
    "Ids": {"ids": ["daily-delays", "weekly-delays"]},
    "NewAccount": {
        "email": "developer@example.com",
        "password": "correct horse battery staple",
        "role": "developer",
    },
    "AccountChange": {"role": "reader"},
    "NewKey": {"name": "nightly export", "role": "developer", "days": 90},
    "TaskCopy": {"id": "daily-delays-copy", "name": "Daily delays (copy)"},
    "RunDraft": {"test_mode": {"address": "me@example.com"}},
    "PasswordChange": {
        "current_password": "correct horse battery staple",
        "new_password": "a longer password than before",
    },
}
