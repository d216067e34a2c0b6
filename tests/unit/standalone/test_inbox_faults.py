from standalone.inbox.faults import DropAfterData, Faults, RejectData, RejectRecipient, SlowReply


def test_a_rejection_matches_its_pattern_in_any_case_and_only_as_often_as_asked() -> None:
    faults = Faults()
    faults.add(RejectRecipient(pattern="*@bad.example", code=550, times=2))
    assert faults.for_recipient("ann@good.example") is None
    assert faults.for_recipient("ANN@BAD.example") is not None
    assert faults.for_recipient("bob@bad.example") is not None
    assert faults.for_recipient("eve@bad.example") is None
    assert faults.active == []


def test_without_a_number_a_fault_stays_until_it_is_cleared() -> None:
    faults = Faults()
    faults.add(RejectRecipient(pattern="*", times=None))
    assert all(faults.for_recipient("a@example.com") for _ in range(10))
    faults.clear()
    assert faults.for_recipient("a@example.com") is None


def test_faults_of_different_kinds_do_not_use_each_other_up() -> None:
    faults = Faults()
    faults.add(SlowReply(at="data", seconds=2))
    faults.add(RejectData(code=451))
    faults.add(DropAfterData(keep=False))
    assert faults.delay_s("rcpt") == 0
    rejected, dropped = faults.reject_data(), faults.drop()
    assert rejected is not None
    assert rejected.code == 451
    assert dropped is not None
    assert not dropped.keep
    assert faults.delay_s("data") == 2
    assert faults.delay_s("data") == 0
