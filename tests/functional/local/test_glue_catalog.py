"""The Glue Data Catalog: concurrent commits, and policies on the resources that AWS checks."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from tests.functional.local.cloud import ACCOUNT, REGION, allow

GLUE = f"arn:aws:glue:{REGION}:{ACCOUNT}"


@pytest.fixture(scope="module")
def table(cloud):
    glue = cloud.client("glue")
    for database in ("open", "closed"):
        glue.create_database(DatabaseInput={"Name": database})
        glue.create_table(DatabaseName=database, TableInput={"Name": "t", "Parameters": {}})
    return glue


def test_of_many_commits_on_one_version_only_one_wins(table):
    version = table.get_table(DatabaseName="open", Name="t")["Table"]["VersionId"]

    def commit(number):
        try:
            table.update_table(
                DatabaseName="open", VersionId=version, TableInput={"Name": "t", "Parameters": {"by": str(number)}}
            )
        except table.exceptions.ConcurrentModificationException:
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(commit, range(32))) == 1


def test_a_least_privilege_policy_is_enough_for_its_tables_and_no_others(cloud, table):
    reads = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables"]
    role = cloud.role(
        "catalog-reader",
        allow(reads, [f"{GLUE}:catalog", f"{GLUE}:database/open", f"{GLUE}:table/open/*"]),
        allow("glue:UpdateTable", [f"{GLUE}:catalog", f"{GLUE}:database/open", f"{GLUE}:table/open/u"]),
    )
    glue = cloud.as_role(role, "glue")
    assert glue.get_database(Name="open")["Database"]["Name"] == "open"
    assert glue.get_table(DatabaseName="open", Name="t")["Table"]["Name"] == "t"
    assert len(glue.get_tables(DatabaseName="open")["TableList"]) == 1
    for refused in (
        lambda: glue.get_database(Name="closed"),
        lambda: glue.get_table(DatabaseName="closed", Name="t"),
        lambda: glue.get_tables(DatabaseName="closed"),
        lambda: glue.update_table(DatabaseName="open", TableInput={"Name": "t"}),
        lambda: glue.create_table(DatabaseName="open", TableInput={"Name": "new"}),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            refused()


def test_a_table_needs_its_database_and_the_catalog_to_be_allowed_too(cloud, table):
    glue = cloud.as_role(cloud.role("table-only", allow("glue:GetTable", f"{GLUE}:table/open/t")), "glue")
    with pytest.raises(ClientError, match="AccessDenied"):
        glue.get_table(DatabaseName="open", Name="t")


def test_a_job_is_started_only_by_who_may_start_this_one(cloud):
    cloud.client("glue").create_job(
        Name="mine", Role="none", Command={"Name": "glueetl", "ScriptLocation": "s3://lake/none"}
    )
    glue = cloud.as_role(cloud.role("other-starter", allow("glue:StartJobRun", f"{GLUE}:job/yours")), "glue")
    with pytest.raises(ClientError, match="AccessDenied"):
        glue.start_job_run(JobName="mine")


def test_tables_come_in_pages_of_a_hundred(cloud, table):
    table.create_database(DatabaseInput={"Name": "many"})
    names = {f"t{number:03}" for number in range(205)}
    for name in names:
        table.create_table(DatabaseName="many", TableInput={"Name": name})
    pages = list(table.get_paginator("get_tables").paginate(DatabaseName="many"))
    assert [len(page["TableList"]) for page in pages] == [100, 100, 5]
    assert {each["Name"] for page in pages for each in page["TableList"]} == names
    with pytest.raises(table.exceptions.EntityNotFoundException):
        table.get_tables(DatabaseName="none")
