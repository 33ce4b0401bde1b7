"""When schedules fire: cron expressions in a time zone, intervals, and what to do about missed fire times.

Times are integer milliseconds since the epoch, UTC. Everything here is arithmetic; the scheduler does the work.
"""

from __future__ import annotations

from omniq.cron.expression import Cron
from omniq.cron.misfire import FirePlan, Misfire, interval_next, plan_fires

__all__ = ["Cron", "FirePlan", "Misfire", "interval_next", "plan_fires"]
