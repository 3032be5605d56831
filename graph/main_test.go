package graph_test

import (
	"flag"
	"testing"

	"roster/db/dbtest"
	"roster/graph/graphtest"
)

var isLong = flag.Bool("long", false, "send the largest inputs that there can be to every field, and try all actors and ways where a part of them is tried otherwise")

func TestMain(m *testing.M) { dbtest.Main(m) }

type object = graphtest.Object
