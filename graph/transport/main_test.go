package transport_test

import (
	"testing"

	"roster/db/dbtest"
	"roster/graph/graphtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

type object = graphtest.Object
