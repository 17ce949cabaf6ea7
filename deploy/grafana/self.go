package grafana

// self is the dashboard about keyrounds itself, for the people who operate it.
func self() Dashboard {
	rate := func(metric, by string) string {
		return `sum by (` + by + `) (rate(` + metric + `[$__rate_interval]))`
	}
	return Dashboard{
		Name: "self", title: "keyrounds / keyrounds itself", about: "The daemon, its rounds, its database, its feeds and its messages.",
		rows: []row{
			{
				"Now",
				[]panel{
					{
						kind:    number,
						title:   "Replicas",
						about:   "That answer Prometheus.",
						width:   4,
						steps:   []step{{0, "red"}, {1, "green"}},
						queries: []query{{`count(keyrounds_build_info)`, ""}},
					},
					{
						kind:    names,
						title:   "Version",
						about:   "More than one: an update is under way.",
						width:   4,
						queries: []query{{`max by (version) (keyrounds_build_info)`, "{{version}}"}},
					},
					{
						kind:    number,
						title:   "Leaders",
						about:   "One replica starts the sweeps. Runbook: KeyroundsNoLeader.",
						width:   4,
						steps:   []step{{0, "red"}, {1, "green"}},
						queries: []query{{`sum(keyrounds_leader)`, ""}},
					},
					{
						kind:    number,
						title:   "Last sweep",
						about:   "How long ago it was looked for what is due. Runbook: KeyroundsSweepStopped.",
						unit:    "s",
						width:   4,
						steps:   []step{{60, "orange"}, {300, "red"}},
						queries: []query{{`time() - max(keyrounds_last_sweep_timestamp_seconds)`, ""}},
					},
					{
						kind:    number,
						title:   "Round lag",
						about:   "How long the credential that waits longest is overdue.",
						unit:    "s",
						width:   4,
						steps:   []step{{300, "orange"}, {900, "red"}},
						queries: []query{{`max(keyrounds_round_lag_seconds)`, ""}},
					},
					{
						kind:    number,
						title:   "Configuration",
						about:   "1: what was changed last is in force. Runbook: KeyroundsReloadFailed.",
						width:   4,
						steps:   []step{{0, "red"}, {1, "green"}},
						queries: []query{{`min(keyrounds_config_last_reload_successful)`, ""}},
					},
				},
			},
			{
				"Rounds",
				[]panel{
					{
						kind:    lines,
						title:   "Checks in flight",
						about:   "Credentials that are leased or checked, and whose results are not stored yet.",
						width:   8,
						queries: []query{{`sum(keyrounds_checks_in_flight)`, "checks"}},
					},
					{
						kind:    lines,
						title:   "Round lag",
						about:   "It grows where more is due than is done.",
						unit:    "s",
						width:   8,
						queries: []query{{`max(keyrounds_round_lag_seconds)`, "lag"}},
					},
					{
						kind:  lines,
						title: "Batches",
						about: "How long they take, from the first secret to the commit.",
						unit:  "s",
						width: 8,
						queries: []query{
							{
								`histogram_quantile(0.5, sum by (le) (rate(keyrounds_batch_duration_seconds_bucket[$__rate_interval])))`,
								"half of them",
							},
							{
								`histogram_quantile(0.95, sum by (le) (rate(keyrounds_batch_duration_seconds_bucket[$__rate_interval])))`,
								"95 %",
							},
						},
					},
					{
						kind:    stacked,
						title:   "Jobs",
						about:   "Those that are not done, of all replicas, by state.",
						width:   8,
						queries: []query{{`max by (state) (keyrounds_jobs)`, "{{state}}"}},
					},
					{
						kind:    lines,
						title:   "Queues",
						about:   "For how long the job that waits longest for a worker does.",
						unit:    "s",
						width:   8,
						queries: []query{{`max by (queue) (keyrounds_queue_oldest_seconds)`, "{{queue}}"}},
					},
					{
						kind:    lines,
						title:   "Jobs that wait",
						about:   "Jobs that could begin now.",
						width:   8,
						queries: []query{{`max by (queue) (keyrounds_queue_depth)`, "{{queue}}"}},
					},
					{
						kind:    lines,
						title:   "Secrets read",
						about:   "A second, by scheme of the reference. Failed: a finding says which.",
						unit:    "ops",
						width:   12,
						queries: []query{{rate("keyrounds_secrets_resolved_total", "scheme, result"), "{{scheme}} {{result}}"}},
					},
					{
						kind:    lines,
						title:   "Waiting for a turn",
						about:   "Seconds a second that checks waited, by provider.",
						unit:    "s",
						width:   12,
						queries: []query{{rate("keyrounds_check_wait_seconds_total", "provider"), "{{provider}}"}},
					},
				},
			},
			{
				"Messages and feeds",
				[]panel{
					{
						kind:    lines,
						title:   "Messages",
						about:   "Sent or tried, a second, by receiver and result.",
						unit:    "ops",
						width:   8,
						queries: []query{{rate("keyrounds_notifications_total", "receiver, result"), "{{receiver}} {{result}}"}},
					},
					{
						kind:  lines,
						title: "Messages that wait",
						about: "For how long the one that waits longest is due.",
						unit:  "s",
						width: 8,
						queries: []query{
							{`max by (receiver, channel) (keyrounds_notifications_oldest_waiting_seconds)`, "{{receiver}} {{channel}}"},
						},
					},
					{
						kind:    lines,
						title:   "Receivers that fail",
						about:   "For how long. Runbook: KeyroundsNotificationsFailing.",
						unit:    "s",
						width:   8,
						queries: []query{{`max by (receiver, channel) (keyrounds_receiver_failing_seconds)`, "{{receiver}} {{channel}}"}},
					},
					{
						kind:  lines,
						title: "Feeds: records",
						about: "A second, by what became of them. bad and unregistered want a look.",
						unit:  "ops",
						width: 12,
						queries: []query{
							{
								`sum by (feed, result) (max by (feed, result) (rate(keyrounds_feed_events_total[$__rate_interval]))) > 0`,
								"{{feed}} {{result}}",
							},
						},
					},
					{
						kind:    lines,
						title:   "Feeds: silence",
						about:   "How long ago each last showed that it lives. Runbook: KeyroundsFeedSilent.",
						unit:    "s",
						width:   12,
						queries: []query{{`max by (feed) (keyrounds_feed_lag_seconds)`, "{{feed}}"}},
					},
				},
			},
			{
				"Leaks",
				[]panel{
					{
						kind:    lines,
						title:   "Sources: since the last scan",
						about:   "By source. Runbook: KeyroundsLeakSourceFailing.",
						unit:    "s",
						width:   8,
						queries: []query{{`time() - max by (source) (keyrounds_leak_source_last_scan_timestamp_seconds)`, "{{source}}"}},
					},
					{
						kind:    lines,
						title:   "Sources: places",
						about:   "Where the last scan found registered secrets or client ids; `keyrounds leaks list` shows them.",
						width:   8,
						queries: []query{{`max by (source) (keyrounds_leak_source_places)`, "{{source}}"}},
					},
					{
						kind:    lines,
						title:   "Reports",
						about:   "A second, by reporter and result. Runbook: KeyroundsLeakReportsLost.",
						unit:    "ops",
						width:   8,
						queries: []query{{rate("keyrounds_leak_reports_total", "reporter, result"), "{{reporter}} {{result}}"}},
					},
				},
			},
			{
				"Database",
				[]panel{
					{
						kind:    number,
						title:   "Database",
						about:   "1: it answered all replicas.",
						width:   6,
						steps:   []step{{0, "red"}, {1, "green"}},
						queries: []query{{`min(keyrounds_database_up)`, ""}},
					},
					{
						kind:    number,
						title:   "Partitions ahead",
						about:   "Months to come for which results can be stored. Runbook: KeyroundsPartitionsMissing.",
						width:   6,
						steps:   []step{{0, "red"}, {1, "orange"}, {2, "green"}},
						queries: []query{{`min(keyrounds_partitions_ahead)`, ""}},
					},
					{
						kind:    number,
						title:   "Private Postgres: free disk",
						about:   "Where it runs in data_dir.",
						unit:    "bytes",
						width:   6,
						steps:   []step{{0, "red"}, {1e9, "orange"}, {5e9, "green"}},
						queries: []query{{`min(keyrounds_private_postgres_disk_free_bytes)`, ""}},
					},
					{
						kind:    number,
						title:   "Private Postgres: restarts",
						about:   "It died and was started again, in the time shown.",
						width:   6,
						steps:   bad,
						queries: []query{{`sum(increase(keyrounds_private_postgres_restarts_total[$__range]))`, ""}},
					},
					{
						kind:    lines,
						title:   "Errors",
						about:   "A second, by class.",
						unit:    "ops",
						width:   8,
						queries: []query{{rate("keyrounds_database_errors_total", "class"), "{{class}}"}},
					},
					{kind: lines, title: "Connections", about: "Of all replicas.", width: 8, queries: []query{
						{`sum(keyrounds_database_connections_in_use)`, "in use"},
						{`sum(keyrounds_database_connections_idle)`, "idle"},
						{`sum(keyrounds_database_connections_max)`, "at most"},
					}},
					{
						kind:    lines,
						title:   "Waiting for a connection",
						about:   "Seconds a second.",
						unit:    "s",
						width:   8,
						queries: []query{{`sum(rate(keyrounds_database_acquire_wait_seconds_total[$__rate_interval]))`, "wait"}},
					},
				},
			},
			{
				"Process",
				[]panel{
					{
						kind:    lines,
						title:   "Memory",
						about:   "Resident.",
						unit:    "bytes",
						width:   8,
						queries: []query{{`process_resident_memory_bytes and on (instance, job) keyrounds_build_info`, "{{instance}}"}},
					},
					{
						kind:  lines,
						title: "CPU",
						about: "Cores.",
						width: 8,
						queries: []query{
							{
								`rate(process_cpu_seconds_total[$__rate_interval]) and on (instance, job) keyrounds_build_info`,
								"{{instance}}",
							},
						},
					},
					{
						kind:    lines,
						title:   "Goroutines",
						about:   "More and more of them is a leak.",
						width:   8,
						queries: []query{{`go_goroutines and on (instance, job) keyrounds_build_info`, "{{instance}}"}},
					},
				},
			},
		},
	}
}
