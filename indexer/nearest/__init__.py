"""The images nearest to a target, among those a filter keeps: none lost, whichever way is cheapest."""

from indexer.nearest.target import CHANNELS, Channel, Found, Key, Plan, PlanName, Target

__all__ = ["CHANNELS", "Channel", "Found", "Key", "Plan", "PlanName", "Target"]
