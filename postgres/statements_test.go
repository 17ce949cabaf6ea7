package postgres_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// Every statement that the code gives to Postgres as a constant is one that Postgres takes, on a migrated database: a column
// that is called otherwise is found here, and not by the first who needs it.
func TestEveryStatementCanBePrepared(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it loads every package with its types")
	conn, err := pgtest.New(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	statements := statements(t)
	if len(statements) < 150 {
		t.Errorf("only %d statements were found", len(statements))
	}
	n := 0
	for sql, where := range statements {
		n++
		if _, err := conn.Conn().Prepare(t.Context(), fmt.Sprint("s", n), sql); err != nil {
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
					if slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}, verb) {
						found[sql] = p.Fset.Position(arg.Pos()).String()
					}
				}
				return true
			})
		}
	}
	return found
}
