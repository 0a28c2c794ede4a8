"""Project settings; what is not set here keeps Kedro's default.

https://docs.kedro.org/en/stable/configure/configuration_basics/#configuration
"""

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # `conf/gpu` states only what differs.
    "merge_strategy": {"parameters": "soft"},
}
