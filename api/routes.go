package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/keyrounds/keyrounds/access"
)

const maxImport = 32 << 20

const (
	get    = http.MethodGet
	post   = http.MethodPost
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

// routes is all that can be asked for, and who may: the only way to an operation.
func (s *server) routes() []route {
	return []route{
		{get, "/v1/credentials", "listCredentials", access.See, "credentials", "List credentials", does(s.listCredentials)},
		{
			post, "/v1/credentials", "addCredential", access.Administer, "credentials", "Register a credential",
			does(s.addCredential).answers(201),
		},
		{
			post, "/v1/credentials/import", "importCredentials", access.Administer, "credentials", "Register many, all or none",
			does(s.importCredentials).accepts(maxImport),
		},
		{
			patch, "/v1/credentials/{name}", "editCredential", access.Administer, "credentials", "Change what is said of a credential",
			does(s.editCredential),
		},
		{
			post, "/v1/credentials/{name}/check", "checkCredential", access.Respond, "credentials", "Check a credential now",
			does(s.checkCredential),
		},
		{
			post, "/v1/checks", "checkCredentials", access.Respond, "credentials", "Check many credentials now, or all",
			does(s.checkCredentials).accepts(maxNames).ofTypes("application/jsonl"),
		},
		{
			remove, "/v1/checks/{id}", "stopChecks", access.Respond, "credentials", "Have such checks begin no more",
			does(s.stopChecks),
		},
		{
			post, "/v1/credentials/{name}/rotate", "rotateCredential", access.Administer, "credentials", "Give a credential a new secret",
			does(s.rotateCredential),
		},
		{
			post, "/v1/credentials/{name}/rotate/undo", "undoRotation", access.Administer, "credentials", "Go back to the secret before",
			does(s.undoRotation),
		},
		{
			post, "/v1/credentials/{name}/retire", "retireCredential", access.Administer, "credentials", "End its registration",
			does(s.retireCredential),
		},
		{
			post, "/v1/credentials/{name}/restore", "restoreCredential", access.Administer, "credentials", "Register a retired one again",
			does(s.restoreCredential),
		},
		{
			post, "/v1/credentials/{name}/try", "trySecret", access.Administer, "credentials", "Try whether a secret would work",
			does(s.trySecret),
		},
		{get, "/v1/credentials/{name}", "showCredential", access.See, "credentials", "Show a credential", does(s.showCredential)},
		{
			get, "/v1/credentials/{name}/checks", "listChecks", access.See, "credentials", "List the checks of a credential",
			does(s.listChecks),
		},
		{
			get, "/v1/credentials/{name}/history", "showHistory", access.See, "credentials", "Show latency and status by hour or day",
			does(s.showHistory),
		},
		{
			get, "/v1/credentials/{name}/scopes", "showScopes", access.See, "credentials", "Show what its scopes are worth",
			does(s.showScopes),
		},
		{get, "/v1/credentials/{name}/usage", "showUsage", access.See, "usage", "Show by whom a credential is used", does(s.showUsage)},

		{get, "/v1/providers", "listProviders", access.See, "credentials", "List providers", does(s.listProviders)},
		{get, "/v1/providers/{name}", "showProvider", access.See, "credentials", "Show a provider", does(s.showProvider)},

		{get, "/v1/findings", "listFindings", access.See, "findings", "List findings", does(s.listFindings)},
		{
			get, "/v1/precision", "listPrecision", access.See, "findings", "Count how many findings were false alarms",
			does(s.listPrecision),
		},
		{get, "/v1/findings/{id}", "showFinding", access.See, "findings", "Show a finding", does(s.showFinding)},
		{get, "/v1/findings/{id}/judgement", "judgeFinding", access.See, "findings", "Judge a finding again", does(s.judgeAgain)},
		{get, "/v1/findings/{id}/timeline", "showTimeline", access.See, "findings", "Show what happened to a finding", does(s.timeline)},

		{post, "/v1/findings/bulk", "respondToFindings", access.Respond, "findings", "Do something about many findings", does(s.bulk)},
		{
			post, "/v1/findings/{id}/acknowledge", "acknowledgeFinding", access.Respond, "findings", "Say that you look after it",
			does(s.acknowledge),
		},
		{
			post, "/v1/findings/{id}/unacknowledge", "unacknowledgeFinding", access.Respond, "findings", "Say that nobody does any more",
			does(s.unacknowledge),
		},
		{post, "/v1/findings/{id}/snooze", "snoozeFinding", access.Respond, "findings", "Put it aside for a while", does(s.snooze)},
		{post, "/v1/findings/{id}/unsnooze", "unsnoozeFinding", access.Respond, "findings", "Open it again", does(s.unsnooze)},
		{
			post, "/v1/findings/{id}/false-alarm", "callFalseAlarm", access.Respond, "findings", "Say that it is a false alarm, and why",
			does(s.falseAlarm),
		},
		{post, "/v1/findings/{id}/assign", "assignFinding", access.Respond, "findings", "Say who is to look after it", does(s.assign)},
		{post, "/v1/findings/{id}/comment", "commentFinding", access.Respond, "findings", "Say something of it", does(s.comment)},

		{get, "/v1/decisions", "listDecisions", access.See, "reports", "List what is decided of credentials", does(s.listDecisions)},
		{
			post, "/v1/credentials/{name}/decide", "decideCredential", access.Decide, "reports", "Decide what becomes of a credential",
			does(s.decideCredential),
		},
		{
			post, "/v1/credentials/{name}/undecide", "undecideCredential", access.Decide, "reports", "Take back what was decided of it",
			does(s.undecideCredential),
		},

		{get, "/v1/usage", "listUsage", access.See, "usage", "List whether credentials are used", does(s.listUsage)},
		{get, "/v1/attempts", "listAttempts", access.See, "usage", "List who was refused", does(s.listAttempts)},
		{get, "/v1/unregistered", "listUnregistered", access.See, "usage", "List clients that nobody registered", does(s.listUnregistered)},
		{get, "/v1/feeds", "listFeeds", access.See, "usage", "List feeds", does(s.listFeeds)},

		{get, "/v1/reports", "listReports", access.See, "reports", "List the files of reports", does(s.listReports)},
		{
			get, "/v1/reports/{month}", "showReport", access.See, "reports", "Read a report",
			does(s.showReport).ofTypes("text/html", "text/csv", "application/json"),
		},
		{
			get, "/v1/trial", "tryReport", access.See, "reports", "See what a report would say as of any time",
			does(s.tryReport).ofTypes("text/html", "text/csv", "application/json"),
		},

		{
			post, "/v1/reports", "freezeReport", access.Administer, "reports", "Freeze the report of a month",
			does(s.freezeReport).answers(201),
		},
		{
			post, "/v1/reports/{month}/amend", "amendReport", access.Administer, "reports", "Make another edition of a report",
			does(s.amendReport),
		},
		{
			post, "/v1/reports/{month}/signoff", "signOffReport", access.Decide, "reports", "Sign off a report that you went through",
			does(s.signOffReport),
		},

		{get, "/v1/leaks", "listLeaks", access.See, "leaks", "List the evidence of leaks", does(s.listLeaks)},
		{get, "/v1/leaks/status", "showLeaks", access.See, "leaks", "Show how it stands with secrets that got out", does(s.showLeaks)},
		{get, "/v1/proofs", "listProofs", access.See, "leaks", "List secrets that got out or were replaced", does(s.listProofs)},
		{
			post, "/v1/proofs/{id}/verify", "verifyDead", access.Administer, "leaks", "Try a secret until it is proven dead",
			does(s.verifyDead).ofTypes("application/jsonl"),
		},
		{
			post, "/v1/scans", "scanForSecrets", access.Scan, "leaks", "Search files for secrets, and keep nothing",
			does(s.scan).ofTar(aboutScan),
		},
		{get, "/v1/sources", "listSources", access.See, "leaks", "List what is searched for secrets", does(s.listSources)},

		{get, "/v1/silences", "listSilences", access.See, "notifications", "List silences", does(s.listSilences)},
		{
			post, "/v1/silences", "addSilence", access.Respond, "notifications", "Have nobody told of something",
			does(s.addSilence).answers(201),
		},
		{remove, "/v1/silences/{id}", "endSilence", access.Respond, "notifications", "End a silence", does(s.endSilence)},
		{
			post, "/v1/receivers/test", "testReceivers", access.Administer, "notifications", "Send a sample to receivers",
			does(s.testReceivers),
		},
		{get, "/v1/receivers", "listReceivers", access.See, "notifications", "List receivers", does(s.listReceivers)},
		{get, "/v1/notifications", "listNotifications", access.See, "notifications", "List messages", does(s.listNotifications)},

		{get, "/v1/audit", "listRecord", access.Administer, "record", "List who did what", does(s.listRecord)},
		{
			get, "/v1/audit/export", "exportRecord", access.Administer, "record", "Export the record as JSON Lines",
			does(s.exportRecord).ofTypes("application/jsonl"),
		},

		{get, "/v1/people", "listPeople", access.Administer, "access", "List who may sign in", does(s.listPeople)},
		{post, "/v1/people", "addPerson", access.Administer, "access", "Add a person, with a temporary password", does(s.addPerson)},
		{post, "/v1/people/{id}/role", "changeRole", access.Administer, "access", "Give a person another role", does(s.changeRole)},
		{post, "/v1/people/{id}/disable", "disablePerson", access.Administer, "access", "Keep a person out", does(s.disablePerson)},
		{post, "/v1/people/{id}/enable", "enablePerson", access.Administer, "access", "Let a person in again", does(s.enablePerson)},
		{
			post, "/v1/people/{id}/reset", "resetPerson", access.Administer, "access", "Give a person a temporary password",
			does(s.resetPerson),
		},
		{get, "/v1/tokens", "listTokens", access.Administer, "access", "List the API tokens", does(s.listTokens)},
		{post, "/v1/tokens", "makeToken", access.Administer, "access", "Make an API token", does(s.makeToken)},
		{remove, "/v1/tokens/{id}", "revokeToken", access.Administer, "access", "Revoke an API token", does(s.revokeToken)},
		{get, "/v1/sessions", "listSessions", access.Administer, "access", "List who is signed in", does(s.listSessions)},
		{remove, "/v1/sessions/{id}", "endSession", access.Administer, "access", "Sign a browser out", does(s.endSession)},
		{
			post, "/v1/first-run-token", "makeFirstRunToken", access.Administer, "access", "Make a token that makes an admin",
			does(s.makeFirstRunToken),
		},

		{get, "/v1/configuration", "showConfiguration", access.Administer, "system", "Show the configuration", does(s.showConfiguration)},
		{get, "/v1/events", "followEvents", access.See, "system", "Be told what changes", does(s.events).ofTypes("text/event-stream")},
		{get, "/v1/status", "showStatus", access.See, "credentials", "Show how the credentials do", does(s.showStatus)},
		{get, "/v1/me", "showMe", access.Enter, "system", "Show who you are here", does(s.showMe)},
		{get, "/v1/version", "showVersion", access.Enter, "system", "Show the version", does(s.showVersion)},
	}
}

// tags are the parts of the document, in its order.
func tags() []*huma.Tag {
	return []*huma.Tag{
		{Name: "credentials", Description: "What is registered, and what its checks say."},
		{Name: "findings", Description: "What a person should know, and what people did about it."},
		{Name: "usage", Description: "Who uses the credentials beside keyrounds, and the feeds that show it."},
		{Name: "reports", Description: "The monthly reports of unused credentials, and what is decided of these."},
		{Name: "leaks", Description: "What speaks for a secret having got out, and the proofs that it works no more."},
		{Name: "notifications", Description: "Who is told, what was told, and what nobody is told of for a while."},
		{Name: "access", Description: "Who may do what: people, tokens and sessions."},
		{Name: "record", Description: "Who did what."},
		{Name: "system", Description: "The daemon, its configuration, and what changes."},
	}
}
