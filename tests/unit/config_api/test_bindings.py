"""What a template shows and its report does not bind is told with its place and how to mend it."""

import pytest
from pydantic import TypeAdapter

from config_api.domain.bindings import unbound
from contracts.configuration import DataItem, TemplateUses

DATA = TypeAdapter(tuple[DataItem, ...]).validate_python(
    [
        {"kind": "expression", "name": "total", "expression": "Sum(amount)"},
        {
            "kind": "table",
            "name": "orders",
            "dimensions": [{"name": "product", "expression": "product"}],
            "measures": [{"name": "amount", "expression": "Sum(amount)"}],
        },
        {"kind": "field", "name": "months", "field": "month"},
        {"kind": "object", "name": "sales", "object_id": "abc"},
        {"kind": "chart", "name": "trend", "table": "orders", "category": "product", "series": ["amount"]},
    ]
)


def test_what_is_bound_is_no_problem() -> None:
    uses = TemplateUses(
        values=("total", "orders"),
        tables={"orders": ("product", "amount"), "months": ("value",), "sales": ("anything",)},
        images=("trend",),
    )
    assert [] == unbound(uses, DATA)


def test_names_about_the_report_itself_need_no_binding() -> None:
    uses = TemplateUses(
        values=("now", "filters", "task"),
        tables={"report": ("name", "format"), "recipient": ("name", "attributes")},
    )
    assert [] == unbound(uses, DATA)
    assert 1 == len(unbound(TemplateUses(tables={"report": ("nmae",)}), DATA))


@pytest.mark.parametrize(
    ("uses", "words"),
    [
        (TemplateUses(values=("totl",), places={"totl": "Orders!A2"}), ("'totl'", "Orders!A2")),
        (TemplateUses(tables={"order": ()}, places={"order": "Orders!A5"}), ("'order'", "Orders!A5")),
        (
            TemplateUses(tables={"orders": ("prodct",)}, places={"orders.prodct": "Orders!B5"}),
            ("'prodct'", "Orders!B5"),
        ),
        (TemplateUses(tables={"months": ("name",)}, places={"months.name": "line 3"}), ("'name'", "line 3")),
        (TemplateUses(images=("trnd",), places={"images.trnd": "line 4"}), ("'trnd'", "line 4")),
        (TemplateUses(tables={"total": ("x",)}, places={"total": "line 5"}), ("one value", "line 5")),
    ],
)
def test_what_is_not_bound_is_named_with_its_place(uses: TemplateUses, words: tuple[str, str]) -> None:
    (problem,) = unbound(uses, DATA)
    assert all(word in problem.message for word in words)
    assert problem.remedy


def test_a_name_that_is_nearly_right_is_suggested() -> None:
    (problem,) = unbound(TemplateUses(values=("totl",)), DATA)
    assert "did you mean 'total'?" in problem.remedy
