"""The paper study runs what was published: every value is reached, and every choice is made."""

from dataclasses import replace

import pytest

from collapse import families
from collapse import study as studies
from collapse.families import fine_tuning, language_model
from collapse.results.published import published_of
from running import PROJECT


@pytest.fixture(scope="module")
def paper():
    return studies.load(PROJECT / "config" / "studies" / "paper.yaml")


@pytest.fixture(scope="module")
def chains(paper):
    names = [name for name, plan in paper.experiments.items() if plan.by_iteration]
    return [spec for name in names for spec in paper.chains(name) if "mixture" not in name]


@pytest.mark.parametrize(
    "family", [language_model.FAMILY, fine_tuning.FAMILY], ids=lambda f: f.name
)
def test_every_published_value_is_evaluated_under_its_conditions(chains, family):
    reached = {
        (one.source, one.regime, one.iteration, one.value, str(one.conditions))
        for spec in chains
        if spec.family == family.name
        for one in published_of(spec)
        if one.iteration in spec.evaluated
    }
    published = {
        (one.source, one.regime, one.iteration, one.value, str(one.conditions))
        for one in family.published
    }
    assert reached == published
    prompted = (
        replace(spec, parameters={**spec.parameters, "start": "prompt"})
        for spec in chains
        if spec.family == family.name
    )
    assert not any(map(published_of, prompted))  # nothing was published of samples with prompts


def test_later_runs_are_those_that_were_logged_and_drawn():
    found = {
        (one.conditions["model"], one.regime, one.iteration): one.value
        for one in language_model.FAMILY.published
        if one.source != "P1 Table 2"
    }
    logged = dict(enumerate((1.8149, 2.0721, 2.2052, 2.3035, 2.3944), start=1))
    assert found == {
        **{("gpt2-9m", "replace", t): value for t, value in logged.items()},
        ("gpt2-9m", "replace", 50): 6.05,
        ("llama2-12m", "replace", 50): 3.7,
        ("llama2-42m", "replace", 50): 3.5,
        ("llama2-12m", "accumulate-subsample", 45): 2.5,
        ("gpt2-9m", "accumulate-subsample", 44): 2.25,
        ("llama2-126m", "accumulate-subsample", 34): 2.05,
        ("llama2-12m", "accumulate", 16): 2.0,
        ("llama2-42m", "accumulate", 13): 1.8,
        ("llama2-126m", "accumulate", 10): 1.65,
    }


def test_both_ways_of_sampling_and_the_published_sampler_are_run(chains):
    text = [spec.parameters for spec in chains if spec.family == "language_model"]
    ways = {(each["start"], each["fixed_length"] is not None) for each in text}
    assert ways == {("first-token", False), ("bos", True)}
    (sampler,) = {
        (spec.parameters["sampler"], spec.parameters["diffusion_steps"])
        for spec in chains
        if spec.family == "molecule_diffusion"
    }
    assert sampler == ("ddpm", 50)


def test_captions_of_fig_5_say_what_replaces_geodiff_and_what_the_sampler_keeps(chains):
    (spec,) = [spec for spec in chains if spec.experiment == "molecule-diffusion"][:1]
    family = families.load("molecule_diffusion")
    said = family.remark(family.parameters(**spec.parameters))
    assert "keeps 0.51, 0.79 and 0.89 of the variance" in said
    assert "0.03, 0.1 and 1.5 Å" in said
    assert all(word in said for word in ("Fig. 5", "GeoDiff", "loss", "Langevin", "level"))


def test_real_pairs_have_room_for_those_that_are_dropped(paper):
    for plan in paper.experiments.values():
        if plan.family == "fine_tuning":
            assert max(plan.samples) <= 0.99 * 12_531
            assert max(plan.samples) >= 12_288  # the largest number of real pairs of a mixture
