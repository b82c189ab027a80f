"""Members of the front as MLflow's LoggedModels, and as versions of one registered model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.tracking.differences import StoredRun
from orchestrator.tracking.records import ModelRecord
from orchestrator.tracking.store import Refused, Store, ask

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel


class ModelShelf:
    """The LoggedModels and registered models of a store's experiment."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.client = store.client
        self.models: dict[str, LoggedModel] = {model.tags.get("trial_key", ""): model for model in self._search()}

    def put(self, record: ModelRecord, run: StoredRun, plan: str | None) -> None:
        """Makes the model, or changes the tags that differ. One that was begun and never finished is made anew."""
        known = self.models.get(record.key)
        if known is not None and str(known.status) == "READY" and known.source_run_id == run.run_id:
            changed = {key: value for key, value in record.tags.items() if known.tags.get(key) != value}
            if changed:
                ask(self.client.set_logged_model_tags, known.model_id, changed)
                known.tags.update(changed)
            return
        self.remove(record.key)
        self.models[record.key] = self._create(record, run, plan)

    def remove(self, key: str) -> None:
        """Deletes a trial's model, where it has one."""
        if (model := self.models.pop(key, None)) is not None:
            ask(self.client.delete_logged_model, model.model_id)

    def register(self, name: str, aliases: Mapping[str, str]) -> int:
        """Registers every member of the front as a version of one model; aliases are given by trial key."""
        versions = self._versions(name)
        made = 0
        for key, model in sorted(self.models.items()):
            if model.tags.get("front") == "true" and key not in versions:
                versions[key] = self._add_version(name, key, model)
                made += 1
        self._set_aliases(name, {alias: versions[key] for alias, key in aliases.items()})
        return made

    def register_with_files(self, name: str, key: str, files: Iterable[Path]) -> str:
        """The version of a registered model that a trial's model is, made where missing, with these files beside it."""
        model = self.models[key]
        for file in files:
            self.store.put_file(model.artifact_location, file)
        return self._versions(name).get(key) or self._add_version(name, key, model)

    def _add_version(self, name: str, key: str, model: LoggedModel) -> str:
        version = ask(
            self.client.create_model_version,
            name,
            model.artifact_location,  # `models:/ID` would be looked up in MLflow's global store
            run_id=model.source_run_id,
            tags={"trial_key": key, "model": model.model_id},
            description=model.name,
            model_id=model.model_id,
        )
        return str(version.version)

    def _create(self, record: ModelRecord, run: StoredRun, plan: str | None) -> LoggedModel:
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric

        model = ask(
            self.client.create_logged_model,
            self.store.experiment_id,
            name=record.name,
            source_run_id=run.run_id,
            tags=dict(record.tags),
            params=dict(record.params),
            model_type="igcv",
        )
        self.models[record.key] = model  # not ready: made anew where the rest fails
        points = [Metric(p.key, p.value, p.at_ms, p.step, model_id=model.model_id) for p in record.metrics]
        if plan:
            with suppress(Refused):  # told of its run already
                self.store.put_text(model.artifact_location, "plan.json", plan)
        ask(self.client.log_batch, run.run_id, metrics=points)
        ask(self.client.log_outputs, run.run_id, [LoggedModelOutput(model.model_id, step=0)])
        return ask(self.client.finalize_logged_model, model.model_id, LoggedModelStatus.READY)

    def _search(self) -> Iterator[LoggedModel]:
        token: str | None = None
        while True:
            page = ask(self.client.search_logged_models, [self.store.experiment_id], max_results=100, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _versions(self, name: str) -> dict[str, str]:
        """Registered versions by trial key, of models that still are; the registered model is made where missing."""
        if not any(model.name == name for model in ask(self.client.search_registered_models, f"name = '{name}'")):
            ask(self.client.create_registered_model, name)
        models = {model.model_id for model in self.models.values()}
        found = ask(self.client.search_model_versions, f"name = '{name}'")
        return {each.tags["trial_key"]: str(each.version) for each in found if each.tags.get("model") in models}

    def _set_aliases(self, name: str, aliases: Mapping[str, str]) -> None:
        known = {alias: str(version) for alias, version in ask(self.client.get_registered_model, name).aliases.items()}
        for alias, version in aliases.items():
            if known.get(alias) != version:
                ask(self.client.set_registered_model_alias, name, alias, version)
