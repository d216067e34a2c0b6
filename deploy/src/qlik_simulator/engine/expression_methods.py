"""Methods of Doc that evaluate, check or take apart expressions."""

from typing import Any, Final

from qlik_simulator.domain.cells import wire_number
from qlik_simulator.domain.compiler import Compiler
from qlik_simulator.domain.errors import Code, ExpressionError, QixError
from qlik_simulator.domain.evaluate import expand, scalar
from qlik_simulator.domain.parser import parse
from qlik_simulator.domain.syntax import Binary, FieldRef, Node, Unary
from qlik_simulator.domain.syntax import Call as FunctionCall
from qlik_simulator.engine.calls import Call, Method, Work, method

Json = dict[str, Any]


def evaluate(call: Call) -> Work:
    """The text of an expression; what is wrong with it comes as text as well."""
    context = call.document.context(call.now)
    source = call.text("qExpression")

    def work() -> Json:
        try:
            return {"qReturn": scalar(source, context).text(0) or "-"}
        except ExpressionError as error:
            return {"qReturn": f"Error: {error}"}

    return work


def evaluate_ex(call: Call) -> Work:
    """The value of an expression as a ``FieldValue``."""
    context = call.document.context(call.now)
    source = call.text("qExpression")

    def work() -> Json:
        try:
            column = scalar(source, context)
        except ExpressionError as error:
            return {"qValue": {"qText": f"Error: {error}"}}
        number = wire_number(float(column.numbers[0]))
        text = column.text(0)
        if number == "NaN":
            return {"qValue": {"qText": "-" if text is None else text}}
        return {"qValue": {"qText": text, "qIsNumeric": True, "qNumber": number}}

    return work


def check_expression(call: Call) -> Json:
    """What is wrong with an expression, and which of its names are no fields."""
    source = call.text("qExpr")
    context = call.document.context(call.now)
    reply: Json = {"qErrorMsg": "", "qBadFieldNames": [], "qDangerousFieldNames": []}
    try:
        expanded = expand(source, context)
        node = parse(expanded)
        known = {found.name for found in call.document.variables.values()}
        reply["qBadFieldNames"] = [
            {"qFrom": found.start, "qCount": found.length}
            for found in field_references(node)
            if context.model.field(found.name) is None and found.name not in known
        ]
        compiler = Compiler(context)
        compiler.aggregate(node)
        for set_node in compiler.sets:
            context.rows(set_node)
    except ExpressionError as error:
        reply["qErrorMsg"] = str(error)
    return reply


def field_references(node: Node) -> list[FieldRef]:
    """Every field name in an expression, in order."""
    match node:
        case FieldRef():
            return [node]
        case Unary(_, operand):
            return field_references(operand)
        case Binary(_, left, right):
            return [*field_references(left), *field_references(right)]
        case FunctionCall(_, arguments):
            return [found for argument in arguments for found in field_references(argument)]
        case _:
            return []


def get_fields_from_expression(call: Call) -> Json:
    """The names of the fields an expression uses."""
    try:
        node = parse(expand(call.text("qExpr"), call.document.context(call.now)))
    except ExpressionError:
        return {"qFieldNames": []}
    names = [
        found.name for found in field_references(node) if call.document.model.field(found.name) is not None
    ]
    return {"qFieldNames": list(dict.fromkeys(names))}


def expand_expression(call: Call) -> Json:
    """The expression with its dollar-sign expansions done."""
    try:
        return {"qExpandedExpression": expand(call.text("qExpression"), call.document.context(call.now))}
    except ExpressionError as error:
        raise QixError(Code.INVALID_PARAMETERS, str(error)) from error


EXPRESSION_METHODS: Final[dict[str, Method]] = {
    "Evaluate": method(evaluate, "qExpression"),
    "EvaluateEx": method(evaluate_ex, "qExpression"),
    "CheckExpression": method(check_expression, "qExpr", "qLabels?"),
    "ExpandExpression": method(expand_expression, "qExpression"),
    "GetFieldsFromExpression": method(get_fields_from_expression, "qExpr"),
}
