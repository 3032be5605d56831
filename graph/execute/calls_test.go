package execute_test

import (
	"fmt"
	"maps"
	"testing"
)

// TestEachResolverIsCalledOncePerPosition expects that the number of calls does not
// depend on the length of lists.
func TestEachResolverIsCalledOncePerPosition(t *testing.T) {
	t.Parallel()
	tests := map[string]map[string]int{
		`{ users(first: %d) { nodes { team { members { boss { status } } } } } }`: {
			"Query.users": 1, "User.team": 1, "Team.members": 1, "User.boss": 1, "User.status": 1,
		},
		`{ users(first: %d) { nodes { a: team { id } b: team { lead { id } } } edges { node { team { id } } } } }`: {
			"Query.users": 1, "User.team": 3, "Team.lead": 1,
		},
		`{ users(first: %d) { nodes { grid { ... on User { rank } ... on Team { lead { rank } } } } } }`: {
			"Query.users": 1, "User.grid": 1, "User.rank": 2, "Team.lead": 1,
		},
		`{ users(first: %d) { nodes { name email: greeting address { street } } } }`: {
			"Query.users": 1,
		},
	}
	for document, want := range tests {
		for _, first := range []int{3, 12} {
			t.Run(fmt.Sprintf(document, first), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				answer(t, b.executor, fmt.Sprintf(document, first), "")
				if calls := b.resolver.Calls(); !maps.Equal(calls, want) {
					t.Errorf("got  %v\nwant %v", calls, want)
				}
			})
		}
	}
}

func TestNothingIsCalledForNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	answer(t, b.executor, `{ users(first: 0) { nodes { team { members { id } } } } }`, "")
	if calls := b.resolver.Calls(); len(calls) != 1 {
		t.Errorf("calls: %v", calls)
	}
}
