#!/usr/bin/env bash
# Made of locks/core.txt by make lock. Snakemake runs it in the environment that it has just made.
set -euo pipefail
python -m pip install --no-deps --requirement /dev/stdin <<'LOCK'
annotated-types==0.8.0
argparse-dataclass==2.0.0
attrs==26.1.0
certifi==2026.10.18
cftime==1.6.6.1
charset-normalizer==3.5.2
cloudpickle==3.1.2
conda-inject==1.3.2
configargparse==1.9.0
connection-pool==0.0.3
contourpy==1.3.3 ; python_full_version < '3.12'
contourpy==1.4.0 ; python_full_version >= '3.12'
cycler==0.12.1
docutils==0.22.4
dpath==2.2.0
fastjsonschema==2.22.3
fonttools==4.68.0
gitdb==4.0.12
gitpython==3.2.1
greenlet==3.5.6 ; platform_machine == 'AMD64' or platform_machine == 'WIN32' or platform_machine == 'aarch64' or platform_machine == 'amd64' or platform_machine == 'ppc64le' or platform_machine == 'win32' or platform_machine == 'x86_64'
humanfriendly==10.0
idna==3.20
immutables==0.21
jinja2==3.1.6
jsonschema==4.26.0
jsonschema-specifications==2025.9.1
jupyter-core==5.9.1
kiwisolver==1.5.1
markupsafe==3.0.4
matplotlib==3.11.2
nbformat==5.11.1
netcdf4==1.7.5.1.post1
numpy==2.3.5
packaging==25.0
pandas==3.1.1
pillow==13.0.0
platformdirs==4.14.5
psutil==7.2.2
pulp==3.3.2
pyarrow==26.0.1
pydantic==2.14.3
pydantic-core==2.50.4
pygments==2.21.0
pyparsing==3.3.3
pyreadline3==3.5.6 ; sys_platform == 'win32'
python-dateutil==4.0.0
pyyaml==6.0.3
referencing==0.37.0
requests==2.34.2
rpds-py==2026.9.1
ruamel-yaml==0.19.1
scipy==1.17.1
smart-open==7.7.1
smmap==5.0.3
snakemake==9.27.1
snakemake-executor-plugin-slurm==2.8.0
snakemake-executor-plugin-slurm-jobstep==0.6.1
snakemake-interface-common==1.23.0
snakemake-interface-executor-plugins==9.4.0
snakemake-interface-logger-plugins==2.1.0
snakemake-interface-report-plugins==1.3.0
snakemake-interface-scheduler-plugins==2.0.2
snakemake-interface-storage-plugins==4.4.1
sqlalchemy==2.0.58
sqlmodel==0.0.37
submitit==1.5.4
tabulate==0.10.0
tenacity==9.2.1
threadpoolctl==3.8.0
throttler==1.2.3
traitlets==5.16.1
typing-extensions==4.16.0
typing-inspection==0.4.5
tzdata==2026.6
urllib3==2.8.0
wrapt==2.5.2
xarray==2026.9.0
yte==1.9.4
LOCK
