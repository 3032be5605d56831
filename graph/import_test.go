package graph_test

import (
	"testing"

	"roster/graph/graphtest"
)

func TestImport(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.WorkOnImports(t)
	id := b.Plan(t, object{"onConflict": "UPDATE"}, "people.csv", "email,id,first_name,last_name,role_keys,permission_keys,external_organization_id\nada@example.com,x1,Ada,Lovelace,,,\n\nbob@example.com,x2,Bob,B,nosuch,,\n,x1,,,,,nowhere\nada@example.com,x1,Ada,King,,,\nnot an address,x3,,,,,\n")
	t.Log(b.Report(t, id))
	b.Carry(t, "applyImport", id, "APPLIED")
	t.Log(b.Report(t, id))
	b.Carry(t, "undoImport", id, "UNDONE")
	t.Log(b.Report(t, id))
	_ = graphtest.Issuer
}
