"""The command `omniq fsck`, and the checks of `omniq doctor`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from omniq.storage.hookspecs import hookimpl

if TYPE_CHECKING:
    from omniq.storage.upkeep import Finding

__all__: list[str] = []


@hookimpl
def omniq_register_commands(cli: Any) -> None:
    """Add `omniq fsck`."""
    import click

    @cli.command("fsck", short_help="Check and repair a store of files.")  # type: ignore[untyped-decorator]
    @click.argument("folder", envvar="OMNIQ_FSCK_FOLDER", default="omniq_data")
    @click.option(
        "--check",
        is_flag=True,
        envvar="OMNIQ_FSCK_CHECK",
        show_envvar=True,
        help="Change nothing, and end with 1 if anything is wrong.",
    )
    @click.option(
        "--json", "as_json", is_flag=True, envvar="OMNIQ_JSON", show_envvar=True, help="Print JSON and nothing else."
    )
    def fsck_command(folder: str, *, check: bool, as_json: bool) -> None:
        """Check the store in FOLDER, repair what can be repaired, and say what was done.

        The log, its checkpoints, the blobs and the files for people are compared with each other. It may run while
        workers do, which wait meanwhile. It ends with 1 if something could not be repaired.
        """
        from omniq.errors import OmniQError
        from omniq.storage.backend import BackendConfig
        from omniq_file.fsck import check as run
        from omniq_file.options import FileOptions

        try:
            options = FileOptions.read(BackendConfig(backend_type="file", url=folder))
            done = run(options, repair=not check)
        except (OmniQError, OSError) as error:
            raise click.ClickException(str(error)) from error
        faults = [{"text": fault.text, "repaired": fault.repaired} for fault in done.faults]
        if as_json:
            click.echo(json.dumps({"folder": folder, "facts": done.facts, "faults": faults}))
        else:
            for fault in done.faults:
                click.echo(f"{'repaired' if fault.repaired else 'WRONG   '}  {fault.text}")
            told = ", ".join(f"{count} {what}" for what, count in done.facts.items())
            left = sum(not fault.repaired for fault in done.faults)
            verdict = "nothing is wrong" if not done.faults else f"{len(done.faults)} faults, {left} of them left"
            click.echo(f"{folder}: {told}; {verdict}.")
        if any(not fault.repaired for fault in done.faults):
            raise SystemExit(1)


@hookimpl
async def omniq_doctor_checks(app: Any) -> list[Finding]:
    """Look at each store of files once."""
    stores = app.stores
    storages = (stores.task_queue, stores.results, stores.events, stores.schedules)
    # By name, because importing the classes would import what only this backend needs.
    ours = [each for each in storages if type(each).__module__.startswith("omniq_file.")]
    if not ours:
        return []
    from omniq_file.doctor import examine

    return await examine(ours)
