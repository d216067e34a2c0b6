"""Set analysis: the rows an aggregation looks at."""

from collections.abc import Mapping

from qlik_simulator.domain.errors import ExpressionError, UnsupportedError
from qlik_simulator.domain.fields import Field, Mask
from qlik_simulator.domain.model import DataModel
from qlik_simulator.domain.search import literal, search
from qlik_simulator.domain.selections import NOTHING, Selection, Selections, possible_rows
from qlik_simulator.domain.syntax import ModifiedSet, Modifier, SetName, SetNode, SetOperation, SetValue


def set_rows(model: DataModel, node: SetNode, states: Mapping[str, Selections], current: str) -> Mask:
    """The rows of a set; ``states`` are the selections by state name, ``current`` is the one ``$`` means."""
    if isinstance(node, SetOperation):
        left = set_rows(model, node.left, states, current)
        right = set_rows(model, node.right, states, current)
        match node.operator:
            case "+":
                return left | right
            case "-":
                return left & ~right
            case "*":
                return left & right
            case _:
                return left ^ right
    return possible_rows(model, _selections(model, node, states, current))


def _selections(
    model: DataModel, node: SetNode, states: Mapping[str, Selections], current: str
) -> Selections:
    match node:
        case SetName("1"):
            return NOTHING
        case SetName("$"):
            return states[current]
        case SetName(name):
            if name in states:
                return states[name]
            raise ExpressionError(
                f"Error in set modifier expression: '{name}' is neither a state nor a bookmark here"
            )
        case ModifiedSet(base, modifiers):
            selections = _selections(model, base, states, current)
            for modifier in modifiers:
                selections = _modified(model, selections, modifier)
            return selections
        case _:
            raise UnsupportedError("a modifier on a combined set")


def _modified(model: DataModel, selections: Selections, modifier: Modifier) -> Selections:
    of = model.field(modifier.field)
    if of is None:
        return selections  # the engine ignores a field it does not know
    if modifier.values is None:
        return selections.put(of.name, None)
    wanted = frozenset[int]().union(*(_elements(of, value) for value in modifier.values))
    before = selections.get(of.name)
    everything = frozenset(range(of.size))
    base = everything if before is None else before.elements
    match modifier.operator:
        case "+=":
            chosen = wanted if before is None else base | wanted
        case "-=":
            chosen = base - wanted
        case "*=":
            chosen = base & wanted
        case "/=":
            chosen = base ^ wanted
        case _:
            chosen = wanted
    return selections.put(of.name, Selection(chosen))


def _elements(of: Field, value: SetValue) -> frozenset[int]:
    return search(of, value.text) if value.is_search else literal(of, value.text)
