"""Values into columns and back, with a checksum over what must never be acted on when it is damaged. No IO."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from chaos_runner.records import AnyRecord, Entry, Sample, Target
from chaos_runner.store.errors import StoreError
from chaos_runner.store.owner import Owner
from chaos_runner.store.rows import FaultRow, RunRow, Summary

Columns = tuple[Any, ...]

SELECT_RUN = (
    "SELECT id, environment, experiment, state, epoch, owner, deadline_at, connections, crc, started_at, headline "
    "FROM run"
)
INSERT_RUN = (
    "INSERT INTO run (id, environment, experiment, state, epoch, owner, deadline_at, connections, crc, started_at, "
    "headline) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
SELECT_FAULT = (
    "SELECT id, run, n, epoch, step, kind, version, target, uid, aspect, undo, reversible, state, outcome, "
    "expires_at, updated_at, environment, crc FROM fault"
)
INSERT_FAULT = (
    "INSERT INTO fault (id, run, n, epoch, step, kind, version, target, uid, aspect, undo, reversible, state, outcome, "
    "expires_at, updated_at, environment, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
SELECT_SUMMARY = (
    "SELECT run, environment, experiment, started_at, ended_at, headline, finding, stopped_by, cleanup, figures "
    "FROM summary"
)

_record = msgspec.json.Decoder(AnyRecord)
_sample = msgspec.msgpack.Decoder(Sample)
_owner = msgspec.json.Decoder(Owner)
_packer = msgspec.msgpack.Encoder()
_nobody = Owner(boot_id="", pid=0, start_time=0, host="")


def to_json(value: Any) -> bytes:
    """Always the same bytes for the same value. Raises StoreError for what JSON cannot hold."""
    try:
        return msgspec.json.encode(value, order="deterministic")
    except (TypeError, ValueError) as why:
        msg = f"a value cannot be written as JSON: {why}"
        raise StoreError(msg) from why


def record_crc(run: str, seq: int, at: float, t: float, payload: bytes) -> int:
    """Covers the record's place and times too: a flipped bit in a time is as wrong as one in a word."""
    return zlib.crc32(payload, zlib.crc32(f"{run} {seq} {at!r} {t!r} ".encode()))


def to_entry(run: str, row: Columns) -> Entry:
    """Raises StoreError naming run and seq when the record is damaged or from a newer program."""
    seq, at, t, payload, crc = row
    if not isinstance(payload, bytes) or record_crc(run, seq, at, t, payload) != crc:
        msg = f"record {seq} of run {run} is damaged: its checksum does not fit"
        raise StoreError(msg)
    try:
        return Entry(run=run, seq=seq, at=at, t=t, record=_record.decode(payload))
    except msgspec.MsgspecError as why:
        msg = f"record {seq} of run {run} cannot be understood ({why}): a newer chaos-runner may have written it"
        raise StoreError(msg) from why


def from_sample(sample: Sample) -> tuple[bytes, int]:
    """Payload and checksum. Raises StoreError for what cannot be written."""
    try:
        payload = _packer.encode(sample)
    except (TypeError, ValueError, OverflowError) as why:
        msg = f"a sample of check '{sample.check}' cannot be written: {why}"
        raise StoreError(msg) from why
    return payload, zlib.crc32(payload)


def to_sample(run: str, n: int, row: Columns) -> Sample:
    """Raises StoreError naming the n-th sample of the run when it is damaged."""
    payload, crc = row
    try:
        if zlib.crc32(payload) == crc:
            return _sample.decode(payload)
        why = "its checksum does not fit"
    except (TypeError, msgspec.MsgspecError) as error:
        why = str(error)
    msg = f"sample {n} of run {run} is damaged: {why}"
    raise StoreError(msg)


def run_crc(run: str, environment: str, experiment: str, connections: bytes) -> int:
    """Covers what recovery acts on."""
    return zlib.crc32(connections, zlib.crc32(to_json([run, environment, experiment])))


def from_run(row: RunRow) -> Columns:
    """The values of INSERT_RUN, in that order."""
    connections = to_json(row.connections)
    return (
        row.id,
        row.environment,
        row.experiment,
        row.state,
        row.epoch,
        to_json(row.owner).decode(),
        row.deadline_at,
        connections.decode(),
        run_crc(row.id, row.environment, row.experiment, connections),
        row.started_at,
        row.headline,
    )


def to_run(row: Columns) -> RunRow:
    """Never raises: a damaged row comes back marked as unusable and without connections."""
    run, environment, experiment, state, epoch, owner, deadline_at, connections, crc, started_at, headline = row
    unusable, where, who = "", {}, _nobody
    try:
        if run_crc(run, environment, experiment, connections.encode()) != crc:
            unusable = "its checksum does not fit"
        else:
            where = msgspec.json.decode(connections, type=dict[str, Any])
        who = _owner.decode(owner)
    except (AttributeError, TypeError, ValueError, StoreError) as why:
        unusable, where = str(why), {}
    return RunRow(
        id=run,
        environment=environment,
        experiment=experiment,
        state=state,
        epoch=epoch,
        owner=who,
        deadline_at=deadline_at,
        connections=where,
        started_at=started_at,
        headline=headline,
        unusable=unusable and f"the row of run {run} is damaged: {unusable}",
    )


def fault_crc(row: FaultRow, undo: bytes) -> int:
    """Covers all that reverting acts on; not the state, which changes."""
    known = [
        row.id,
        row.run,
        row.n,
        row.step,
        row.kind,
        row.version,
        row.target.key,
        row.target.uid,
        row.aspect,
        row.reversible,
        row.environment,
    ]
    return zlib.crc32(undo, zlib.crc32(to_json(known)))


def from_fault(row: FaultRow) -> Columns:
    """The values of INSERT_FAULT, in that order."""
    undo = to_json(row.undo)
    return (
        row.id,
        row.run,
        row.n,
        row.epoch,
        row.step,
        row.kind,
        row.version,
        row.target.key,
        row.target.uid,
        row.aspect,
        undo.decode(),
        int(row.reversible),
        row.state,
        row.outcome,
        row.expires_at,
        row.updated_at,
        row.environment,
        fault_crc(row, undo),
    )


def to_fault(columns: Columns) -> FaultRow:
    """Never raises: a damaged row comes back marked as unusable and without its undo."""
    run, n, epoch, step, kind, version, target, uid, aspect, undo, reversible, *rest = columns[1:]
    state, outcome, expires_at, updated_at, environment, crc = rest
    bare = FaultRow(
        id=columns[0],
        run=run,
        n=n,
        epoch=epoch,
        step=step,
        kind=kind,
        version=version,
        target=Target(key=target, uid=uid),
        aspect=aspect,
        undo={},
        reversible=bool(reversible),
        state=state,
        outcome=outcome,
        expires_at=expires_at,
        updated_at=updated_at,
        environment=environment,
    )
    try:
        if fault_crc(bare, undo.encode()) != crc:
            return _unusable(bare, "its checksum does not fit")
        return msgspec.structs.replace(bare, undo=msgspec.json.decode(undo, type=dict[str, Any]))
    except (AttributeError, TypeError, ValueError, StoreError) as why:
        return _unusable(bare, str(why))


def _unusable(row: FaultRow, why: str) -> FaultRow:
    sentence = f"the undo of fault {row.id} on {row.target.key} is damaged and was not executed: {why}"
    return msgspec.structs.replace(row, unusable=sentence)


def to_summary(row: Columns) -> Summary:
    """One line of the history; figures that cannot be read are left out."""
    known = Summary(*row[:-1])
    try:
        return msgspec.structs.replace(known, figures=msgspec.json.decode(row[-1], type=dict[str, float]))
    except msgspec.MsgspecError:
        return known
