from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniq.cron import Cron, FirePlan, Misfire, interval_next, plan_fires
from omniq.errors import ConfigError

HOUR = 3_600_000
YEAR = 365 * 24 * HOUR


def every(step):
    return lambda after: (after // step + 1) * step


def oracle(due, now, policy, grace, most):
    """Sort every due time into fired and misfired, one by one."""
    grace = 60_000 if policy == "skip" and grace is None else grace
    late = [] if grace is None else [time for time in due if time < now - grace]
    rest = due[len(late) :]
    keep = most if policy == "all" else 1
    fire = rest[max(0, len(rest) - keep) :] if keep else []
    passed = rest[: len(rest) - len(fire)]
    reasons = {"all": "over max_catchup", "coalesce": "coalesced", "skip": "skipped"}
    spans = [(late, "late"), (passed, reasons[policy])]
    return fire, [
        Misfire(first=span[0], last=span[-1], count=len(span), exact=True, reason=reason)
        for span, reason in spans
        if span
    ]


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 5_000_000), min_size=1, max_size=60, unique=True).map(sorted),
    st.integers(-10, 6_000_000),
    st.sampled_from(["skip", "coalesce", "all"]),
    st.none() | st.integers(0, 3_000_000),
    st.integers(0, 20),
)
def test_plans_equal_the_oracle(times, now, policy, grace, most):
    def next_after(after):
        return next((time for time in times if time > after), None)

    due = [time for time in times if time <= now]
    plan = plan_fires(
        next_run=times[0], now=now, next_after=next_after, policy=policy, grace_ms=grace, max_catchup=most
    )
    if not due:
        assert plan == FirePlan(fire=(), misfired=(), next_run=times[0])
        return
    fire, misfired = oracle(due, now, policy, grace, most)
    assert (tuple(fire), tuple(misfired), next_after(now)) == (plan.fire, plan.misfired, plan.next_run)


@pytest.mark.parametrize("policy", ["skip", "coalesce", "all"])
def test_on_time_every_policy_fires_once(policy):
    plan = plan_fires(next_run=HOUR, now=HOUR + 5, next_after=every(HOUR), policy=policy)
    assert plan == FirePlan(fire=(HOUR,), misfired=(), next_run=2 * HOUR)


def test_three_days_away():
    def plan(policy, **options):
        return plan_fires(next_run=HOUR, now=72 * HOUR + 120_000, next_after=every(HOUR), policy=policy, **options)

    assert plan("all").fire == tuple(HOUR * n for n in range(1, 73))
    assert plan("coalesce").fire == (72 * HOUR,)
    assert plan("coalesce").misfired == (Misfire(first=HOUR, last=71 * HOUR, count=71, exact=True, reason="coalesced"),)
    assert plan("skip").fire == ()
    assert [span.reason for span in plan("skip").misfired] == ["late"]
    assert plan("skip", grace_ms=HOUR).fire == (72 * HOUR,)
    assert plan("all", grace_ms=2 * HOUR).fire == (71 * HOUR, 72 * HOUR)
    assert {73 * HOUR} == {plan(policy).next_run for policy in ("skip", "coalesce", "all")}


@pytest.mark.parametrize("policy", ["skip", "coalesce", "all"])
def test_years_of_missed_minutes_cost_little(policy):
    calls = 0
    cron = Cron("* * * * *", "Europe/Berlin")

    def next_after(after):
        nonlocal calls
        calls += 1
        return cron.next_after(after)

    plan = plan_fires(next_run=60_000, now=5 * YEAR, next_after=next_after, policy=policy, max_catchup=100)
    assert calls < 25_000
    assert len(plan.fire) == (100 if policy == "all" else 1)
    assert plan.fire[-1] == 5 * YEAR
    missed = plan.misfired[0]
    assert (missed.first, missed.exact) == (60_000, False)
    assert missed.count > 2_000
    assert (plan.fire[0] if policy != "skip" else 5 * YEAR - 60_000) - missed.last == 60_000


def test_a_one_shot_ends():
    assert plan_fires(next_run=5, now=9, next_after=lambda _: None) == FirePlan(fire=(5,), misfired=(), next_run=None)


def test_the_stored_next_run_counts_even_if_the_expression_says_otherwise():
    assert plan_fires(next_run=HOUR + 7, now=HOUR + 8, next_after=every(HOUR)).fire == (HOUR + 7,)


def test_an_unknown_policy_is_refused():
    with pytest.raises(ConfigError, match="skip, coalesce or all"):
        plan_fires(next_run=0, now=0, next_after=every(HOUR), policy="some")


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**9), st.integers(-(10**12), 10**13))
def test_interval_next_is_the_first_after_now(nominal, interval, now):
    result = interval_next(nominal, interval, now)
    assert result > max(now, nominal)
    assert (result - nominal) % interval == 0
    assert result == nominal + interval or result - interval <= now


def test_an_interval_must_be_positive():
    with pytest.raises(ConfigError, match="not positive"):
        interval_next(0, 0, 5)


def test_consecutive_plans_lose_and_repeat_nothing():
    step, next_run, fired = 1000, 1000, []
    for now in itertools.accumulate([500, 700, 5000, 1, 10_000]):
        plan = plan_fires(next_run=next_run, now=now, next_after=every(step), policy="all")
        fired += plan.fire
        next_run = plan.next_run
    assert fired == list(range(1000, 16_201, 1000))
