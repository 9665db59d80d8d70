"""Print the JSON schema of the study file."""

import json

from collapse.study import json_schema

if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
