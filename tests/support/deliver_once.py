"""A distributor that delivers one mail and may be killed on the way: `python -m support.deliver_once`.

Takes the address of the store, its database and the port of the mail server from its arguments.
"""

import asyncio
import sys
from datetime import timedelta

from pydantic import SecretStr

from contracts.events import Channel
from distributor.adapters.mongo import Deliveries
from distributor.adapters.smtp import SmtpMailer
from distributor.domain.results import RetryPolicy
from distributor.settings import DistributorSettings
from distributor.use_cases.attempt import Attempts, Patience
from distributor.use_cases.email import EmailChannel
from runtime.clock import SystemClock
from runtime.mail import MailTransport
from runtime.store import open_store
from support.fake_files import FixedFiles

LEASE = timedelta(seconds=2)


async def main(uri: str, database: str, smtp_port: int) -> None:
    settings = DistributorSettings(smtp_port=smtp_port, mongo_uri=SecretStr(uri), mongo_database=database)
    async with open_store(uri, database) as store, MailTransport(settings) as transport:
        rows = Deliveries(store, clock=SystemClock(), lease_for=LEASE)
        attempts = Attempts(
            rows=rows,
            facts=rows,
            channels={Channel.EMAIL: EmailChannel(FixedFiles(), SmtpMailer(transport), settings.sender())},
            clock=SystemClock(),
            policy=RetryPolicy(delays=(timedelta(seconds=1),)),
            patience=Patience(extend_every=LEASE / 4, settle_for=timedelta(seconds=5)),
            chance=lambda: 0.5,
        )
        claim = await rows.claim(Channel.EMAIL, not_to=())
        if claim is None:
            raise SystemExit("nothing to deliver")
        await attempts.run(claim)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
