"""What a run found, and what is made of it: files, differences, badges and a site."""

from __future__ import annotations
