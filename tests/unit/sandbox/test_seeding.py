import pytest
from pydantic import ValidationError

from worker.sandbox.limits import Meter
from worker.sandbox.seeding import GivenChild, GivenProject, Seed, moment, put, sow
from worker.sandbox.state import Kind, Organization, Rules

FULL = Seed(organization_id="1", projects=30, tasks=3, users=2, documents=2, comments=3)


def an_organization() -> Organization:
    return Organization("1", Rules(), Meter())


def test_the_same_seed_makes_the_same_projects() -> None:
    one, other = an_organization(), an_organization()

    sow(one, FULL)
    sow(other, FULL)

    assert one.projects == other.projects
    assert len(one.projects) == 30


def test_ids_are_decimal_and_met_once_except_for_people() -> None:
    organization = an_organization()
    sow(organization, FULL)

    project_ids = list(organization.projects)
    child_ids = [
        id_
        for project in organization.projects.values()
        for kind, children in project.children.items()
        for id_ in children
        if kind is not Kind.USER
    ]

    assert project_ids[0] == "4600000000440001"
    assert all(id_.isdecimal() and len(id_) <= 19 for id_ in child_ids)
    assert len({*project_ids, *child_ids}) == 30 + 30 * 8


def test_people_are_the_same_on_every_project_unless_told_otherwise() -> None:
    shared, own = an_organization(), an_organization()
    sow(shared, FULL)
    sow(own, Seed(organization_id="1", projects=30, users=2, shared_users=False))

    def people(organization: Organization) -> set[str]:
        projects = organization.projects.values()
        return {id_ for project in projects for id_ in project.children[Kind.USER]}

    assert (len(people(shared)), len(people(own))) == (2, 60)


def test_sowing_again_goes_on_where_it_stopped() -> None:
    organization = an_organization()

    first = sow(organization, Seed(organization_id="1", projects=2))
    second = sow(organization, Seed(organization_id="1", projects=2))

    assert second == ["4600000000440003", "4600000000440004"]
    assert [organization.projects[id_].name for id_ in first + second][-1] == "Project 0004"


def test_names_states_and_dates_are_spread_as_asked() -> None:
    organization = an_organization()
    seed = Seed(
        organization_id="1",
        projects=3,
        names="Old {n}",
        status=("active", "inactive"),
        created_from="2020-01-01T00:00:00Z",
        created_step=60,
    )

    sow(organization, seed)

    projects = list(organization.projects.values())
    assert [project.name for project in projects] == ["Old 0001", "Old 0002", "Old 0003"]
    assert [project.status for project in projects] == ["active", "inactive", "active"]
    assert projects[2].created_at == moment("2020-01-01T00:02:00Z")


def test_a_project_given_again_changes_only_in_what_is_given() -> None:
    organization = an_organization()
    put(organization, GivenProject(project_id="5", project_name="Old"), now=100.0)

    change = GivenProject(project_id="5", project_name="New", tasks=(GivenChild(id="6"),))
    put(organization, change, now=200.0)

    project = organization.projects["5"]
    assert (project.name, project.created_at, list(project.children[Kind.TASK])) == (
        "New",
        100.0,
        ["6"],
    )


@pytest.mark.parametrize("wrong", [{"status": ()}, {"created_from": "never"}, {"projects": -1}])
def test_a_seed_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Seed(organization_id="1", **wrong)  # type: ignore[arg-type] # wrong on purpose
