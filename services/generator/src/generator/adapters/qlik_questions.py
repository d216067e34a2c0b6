"""Planning's questions, asked of Qlik: one session an app, one proof a set of selections."""

import asyncio
from collections.abc import Mapping, Sequence

from contracts.base import Selection
from contracts.configuration import Condition
from generator.adapters.qlik_sites import QlikSites, translated
from generator.domain.conditions import Operand, describe, holds, plain, right_expression
from generator.domain.request import Answer, AskValues, NoAnswer, Question, Values, Verdict
from generator.domain.selections import FieldValue
from qlik import AppSession, QlikError
from qlik import Selection as QlikSelection
from qlik import Value as QlikValue
from qlik.duals import is_code
from runtime.errors import Permanent, Transient

# So many apps at a time; each costs a session, and sites allow few.
_PARALLEL = 3
_NULL = "-"
_ROUNDS = 3


class QlikQuestions:
    """The Questions port on Qlik."""

    def __init__(self, sites: QlikSites) -> None:
        """Take the clients."""
        self._sites = sites

    async def answers(self, questions: Sequence[Question]) -> Mapping[Question, Answer]:
        """Return an answer to every question. Raises Transient when a site cannot be asked now."""
        by_app: dict[tuple[str, str], list[Question]] = {}
        for question in questions:
            by_app.setdefault((question.connection_id, question.app_id), []).append(question)
        places = asyncio.Semaphore(_PARALLEL)
        found: dict[Question, Answer] = {}

        async def ask(connection_id: str, app_id: str, asked: Sequence[Question]) -> None:
            async with places:
                found.update(await self._of_app(connection_id, app_id, asked))

        try:
            async with asyncio.TaskGroup() as group:
                for (connection_id, app_id), asked in by_app.items():
                    group.create_task(ask(connection_id, app_id, asked))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return found

    async def _of_app(
        self, connection_id: str, app_id: str, asked: Sequence[Question]
    ) -> dict[Question, Answer]:
        try:
            for _ in range(_ROUNDS):
                async with self._sites.session(connection_id, app_id) as session:
                    answers = await _asked(session, asked)
                    if await same_data(session):
                        return answers
        except Permanent as error:
            return dict.fromkeys(asked, NoAnswer(error.reason))
        raise Transient(f"the app {app_id} is reloaded again and again while it is read")


async def same_data(session: AppSession) -> bool:
    """Return whether the app still has the data it was opened with."""
    try:
        await session.check_same_data()
    except QlikError as error:
        if error.code == "reloaded":
            return False
        raise
    return True


async def _asked(session: AppSession, asked: Sequence[Question]) -> dict[Question, Answer]:
    by_selections: dict[tuple[Selection, ...], list[Question]] = {}
    for question in asked:
        by_selections.setdefault(question.selections, []).append(question)
    answers: dict[Question, Answer] = {}
    for selections, several in by_selections.items():
        try:
            await session.select(qlik_selections(selections))
        except QlikError as error:
            answers |= dict.fromkeys(several, _no_answer(error))
            continue
        for question in several:
            answers[question] = await _answer(session, question)
    return answers


async def _answer(session: AppSession, question: Question) -> Answer:
    try:
        if isinstance(question, AskValues):
            values = await session.field_values(question.field, limit=question.limit, truncate=True)
            return Values(tuple(FieldValue(_whole(value.text), value.number) for value in values))
        return await verdict(session, question.condition)
    except QlikError as error:
        return _no_answer(error)


def _no_answer(error: QlikError) -> NoAnswer:
    told = translated(error)
    if isinstance(told, Transient):
        raise error
    return NoAnswer(told.reason)


async def verdict(session: AppSession, condition: Condition) -> Verdict:
    """Return whether a condition holds under the session's selections, and the first rule that does not."""
    for rule in condition.rules:
        left = _operand(await session.evaluate(rule.left))
        expression = right_expression(rule)
        right = plain(rule.right) if expression is None else _operand(await session.evaluate(expression))
        if not holds(rule, left, right):
            return Verdict(holds=False, detail=describe(rule, left, right))
    return Verdict(holds=True)


def _operand(value: QlikValue) -> Operand:
    # Qlik shows null as a dash, and says nothing else about it.
    null = value.number is None and value.text == _NULL
    return Operand("" if null else value.text, None if is_code(value.text) else value.number)


def qlik_selections(selections: Sequence[Selection]) -> list[QlikSelection]:
    """Return selections of a plan as the Qlik client takes them."""
    return [QlikSelection(field=item.field, values=item.values, numbers=item.numbers) for item in selections]


def _whole(text: str) -> str:
    """Return a text without halves of characters, which JSON can carry and neither UTF-8 nor a store can."""
    return text.encode(errors="replace").decode()
