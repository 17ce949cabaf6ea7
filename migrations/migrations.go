// Package migrations holds the numbered SQL that makes the schema. Migrations only go forward.
package migrations

import "embed"

// Files are the migrations, named NNNNN_title.sql.
//
//go:embed *.sql
var Files embed.FS
