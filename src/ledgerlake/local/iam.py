"""IAM checks of Glue on the resources AWS checks (catalog, database and table each, jobs by name), of SQS by action.

Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Glue". The emulator derives one
resource from whatever name stands in the request, so `GetDatabase` was checked on `table/<database>`. A change of an
event source mapping carries its function's ARN, and metric data its namespace, which a policy may ask for ("… for AWS
Lambda", "… for Amazon CloudWatch").
"""

import json
from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qs

from ministack.core import iam_actions, iam_evaluator
from ministack.services import lambda_svc

_extract_iam_action = iam_actions.extract_iam_action
_extract_resource_arn = iam_actions.extract_resource_arn
_enforce = iam_evaluator.enforce

# Of the request at hand: its resource is asked for before it is checked, in the same task.
_namespace: ContextVar[str] = ContextVar("_namespace", default="")

UPDATE_MAPPING = "lambda:UpdateEventSourceMapping"
# SQS knows no actions of these names: a batch needs the permission of its single form.
_SINGLE = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}


def install() -> None:
    """Replace them; the emulator imports them anew at each request."""
    iam_actions.extract_iam_action = iam_action
    iam_actions.extract_resource_arn = resource_arn
    iam_evaluator.enforce = enforce


def iam_action(service: str, method: str, path: str, headers: Any, body: bytes, query: Any) -> str | None:
    """The action that a request needs; a change of an event source mapping needed none."""
    if service == "lambda" and method == "PUT" and "/event-source-mappings/" in path:
        return UPDATE_MAPPING
    found: str | None = _extract_iam_action(service, method, path, headers, body, query)
    return found


def resource_arn(
    service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
) -> str:
    """The most specific resource a request names."""
    if service == "glue" and not path.startswith("/iceberg"):
        resource = _glue_resource(_operation(headers), _parsed(body))
        if resource:
            return resource if resource.startswith("arn:") else f"arn:aws:glue:{region}:{account}:{resource}"
    if service == "monitoring":
        _namespace.set(_metric_namespace(body))
    found: str = _extract_resource_arn(service, method, path, headers, body, query, region, account)
    return found


def enforce(
    access_key: str, action: str, service: str, region: str, resource_arn: str = "*", service_context: Any = None
) -> Any:
    """Allowed only when it is on the table, its database and the catalog, and under the name that AWS has for it."""
    action = _SINGLE.get(action, action)
    if action == UPDATE_MAPPING:
        service_context = (service_context or {}) | _mapped_function(resource_arn.rpartition(":")[2])
    if action == "cloudwatch:PutMetricData":
        service_context = (service_context or {}) | {"cloudwatch:namespace": _namespace.get()}
    for resource in (resource_arn, *_parents(resource_arn)) if service == "glue" else (resource_arn,):
        denied = _enforce(access_key, action, service, region, resource_arn=resource, service_context=service_context)
        if denied:
            return denied
    return None


def _mapped_function(uuid: str) -> dict[str, str]:
    mapping = lambda_svc._esms.get(uuid)
    return {"lambda:FunctionArn": mapping["FunctionArn"]} if mapping else {}


def _parents(resource: str) -> list[str]:
    account, _, name = resource.rpartition(":")
    kind, _, rest = name.partition("/")
    if kind == "table":
        return [f"{account}:database/{rest.partition('/')[0]}", f"{account}:catalog"]
    return [f"{account}:catalog"] if kind == "database" else []


def _glue_resource(operation: str, request: dict[str, Any]) -> str | None:
    if operation in ("TagResource", "UntagResource", "GetTags"):
        return request.get("ResourceArn") or "*"
    if "JobRun" in operation or operation in ("GetJob", "UpdateJob", "DeleteJob", "CreateJob"):
        job = request.get("JobName") or request.get("Name")
        return f"job/{job}" if job else "*"
    if operation in ("GetJobs", "ListJobs", "BatchGetJobs"):
        return "*"
    database = request.get("DatabaseName")
    if database:
        table = (request.get("TableInput") or {}).get("Name") or request.get("TableName") or request.get("Name")
        return f"table/{database}/{table or '*'}"
    if operation.endswith("Database"):
        return f"database/{(request.get('DatabaseInput') or {}).get('Name') or request.get('Name')}"
    return "catalog" if operation == "GetDatabases" else None


def _metric_namespace(body: bytes) -> str:
    """The namespace that metric data are for, whether they come as JSON or as a query."""
    return str(_parsed(body).get("Namespace") or parse_qs(body.decode(errors="replace")).get("Namespace", [""])[0])


def _operation(headers: Any) -> str:
    return str(headers.get("x-amz-target", "")).rpartition(".")[2]


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return {}
    return request if isinstance(request, dict) else {}
