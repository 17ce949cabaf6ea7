package postgres_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/constant"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/tools/go/packages"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// Every statement that the code gives to Postgres as a constant is one that Postgres takes, on a migrated database: a column
// that is called otherwise is found here, and not by the first who needs it.
func TestEveryStatementCanBePrepared(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it loads every package with its types")
	statements := statements(t) // which takes longer than a transaction may be idle
	tx, err := pgtest.New(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	for sql, where := range statements { // what others are about
		if !strings.HasPrefix(sql, "CREATE TEMP TABLE") {
			continue
		}
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v\n%s", where, err, sql)
		}
		delete(statements, sql)
	}
	if len(statements) < 150 {
		t.Errorf("only %d statements were found", len(statements))
	}
	n := 0
	for sql, where := range statements {
		n++
		err := pgx.BeginFunc(t.Context(), tx, func(tx pgx.Tx) error { // a savepoint: one mistake does not hide the next
			_, err := tx.Prepare(t.Context(), fmt.Sprint("s", n), sql)
			return err
		})
		if err != nil {
			t.Errorf("%s: %v\n%s", where, err, sql)
		}
	}
}

// statements are the constants of the code that are given to Query, QueryRow, Exec and Queue, and where.
func statements(t *testing.T) map[string]string {
	t.Helper()
	all, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedDeps |
			packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo,
		Dir: "..",
	}, "./...")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, p := range all {
		if strings.Contains(p.PkgPath, "/bench") { // it has tables of its own
			continue
		}
		for _, e := range p.Errors {
			t.Fatal(e)
		}
		for _, file := range p.Syntax {
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				f, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || !slices.Contains([]string{"Query", "QueryRow", "Exec", "Queue"}, f.Sel.Name) {
					return true
				}
				for _, arg := range call.Args {
					v := p.TypesInfo.Types[arg].Value
					if v == nil || v.Kind() != constant.String {
						continue
					}
					sql := strings.TrimSpace(constant.StringVal(v))
					verb, _, _ := strings.Cut(strings.ReplaceAll(sql, "\n", " "), " ")
					if slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "CREATE"}, verb) {
						found[sql] = p.Fset.Position(arg.Pos()).String()
					}
				}
				return true
			})
		}
	}
	return found
}
