package testschema

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"roster/graph/execute/internal/testschema/generated"
	"roster/graph/execute/internal/testschema/model"
	"roster/graph/execute/internal/testschema/row"
)

// Resolver resolves the test schema from a world in memory, in which some values
// are missing against the schema. It counts the calls of each resolver.
type Resolver struct {
	// Watch, if not nil, is called in every resolver with its name, such as
	// "Query.users".
	Watch func(ctx context.Context, name string)

	users   []*row.User
	edges   []*model.UserEdge
	teams   []*row.Team
	friends [][]*row.User // of each user

	mutex sync.Mutex
	calls map[string]int
}

// New returns a world with the given number of users.
func New(users int) *Resolver {
	r := &Resolver{calls: map[string]int{}}
	for n := 1; n <= 5; n++ {
		r.teams = append(r.teams, &row.Team{ID: row.TeamID{N: n}, Name: fmt.Sprint("team ", n)})
	}
	for n := 1; n <= users; n++ {
		u := newUser(n)
		r.users = append(r.users, u)
		r.edges = append(r.edges, &model.UserEdge{Cursor: "cursor " + u.Name, Node: u})
	}
	for n := 1; n <= users; n++ {
		friends := []*row.User{r.user(n + 1), r.user(n + 2), r.user(n + 3)}
		if n%3 == 0 {
			friends[2] = nil
		}
		r.friends = append(r.friends, friends)
	}
	return r
}

func newUser(n int) *row.User {
	name := fmt.Sprint("user ", n)
	u := &row.User{
		ID: row.UserID{N: n}, Name: name, Color: "RED", Age: int32(20 + n),
		CreatedAt: time.Date(2026, 11, n%28+1, 8, 0, 0, n*1000, time.UTC),
		Nick:      unless(n%2 == 0, "nick \\ \"quoted\" ü \u2028"),
		Email:     unless(n%4 == 0, name+"@example.com"),
		Score:     unless(n%3 == 0, float64(n)+0.25),
		SeenAt:    unless(n%2 == 1, time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("NST", -12600))),
		Blob:      unless(n%3 == 1, row.Blob{Text: "blob of " + name}),
		Tags:      []string{"a", "b", "c"}[:n%4%3],
		Hints:     []*string{&name, nil},
		Marks:     [][]int{{n, 2}, nil, {}},
	}
	if n%2 == 1 {
		u.Raw, u.Stamps = json.RawMessage(`{"n": 1}`), []row.Stamp{1, 2}
	}
	if n%4 == 0 {
		u.Hints, u.Marks, u.Tags = nil, nil, nil
	}
	if n%3 != 1 {
		u.Address = &row.Address{Street: "street of " + name, Zip: &row.Zip{Code: name}}
	}
	for i := range n % 3 {
		u.Addresses = append(u.Addresses, row.Address{
			Street: fmt.Sprint("street ", i), Zip: unless(n%4 == 2 && i == 1, row.Zip{Code: "z"}),
		})
	}
	return u
}

func unless[T any](missing bool, v T) *T {
	if missing {
		return nil
	}
	return &v
}

// Calls returns how often each resolver was called since the last call of Calls.
func (r *Resolver) Calls() map[string]int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	calls := r.calls
	r.calls = map[string]int{}
	return calls
}

func (r *Resolver) called(ctx context.Context, name string) {
	r.mutex.Lock()
	r.calls[name]++
	r.mutex.Unlock()
	if r.Watch != nil {
		r.Watch(ctx, name)
	}
}

// user returns the user with number n. It counts round and round.
func (r *Resolver) user(n int) *row.User {
	return r.users[(n-1+len(r.users))%len(r.users)]
}

func (r *Resolver) team(n int) *row.Team { return r.teams[n%len(r.teams)] }

func (r *Resolver) result(n int) row.Result {
	switch n % 4 {
	case 0:
		return nil
	case 1:
		return r.user(n + 1)
	case 2:
		return r.team(n)
	default:
		return row.Robot{Name: "robot " + strconv.Itoa(n), Model: n}
	}
}

// forUsers calls get for every user that is not nil. gqlgen's executor passes null
// elements of lists as nil parents.
func forUsers[T any](ctx context.Context, r *Resolver, name string, users []*row.User, get func(n int) T) ([]T, error) {
	r.called(ctx, name)
	results := make([]T, len(users))
	for i, u := range users {
		if u != nil {
			results[i] = get(u.ID.N)
		}
	}
	return results, nil
}

// Query returns the resolvers of the type Query.
func (r *Resolver) Query() generated.QueryResolver { return query{r} }

// Mutation returns the resolvers of the type Mutation.
func (r *Resolver) Mutation() generated.MutationResolver { return mutation{r} }

// Team returns the resolvers of the type Team.
func (r *Resolver) Team() generated.TeamResolver { return team{r} }

// User returns the resolvers of the type User.
func (r *Resolver) User() generated.UserResolver { return user{r} }

type query struct{ *Resolver }

func (r query) Users(ctx context.Context, first int, filter *model.UserFilter) (*model.UserConnection, error) {
	r.called(ctx, "Query.users")
	if first < 0 {
		return nil, errors.New("first must not be negative")
	}
	c := &model.UserConnection{PageInfo: &model.PageInfo{HasNextPage: true}, TotalCount: len(r.users)}
	for i, u := range r.users[:min(first, len(r.users))] {
		if filter != nil && filter.Nick.IsSet() && (filter.Nick.Value() == nil) != (u.Nick == nil) {
			continue
		}
		c.Nodes, c.Edges = append(c.Nodes, u), append(c.Edges, r.edges[i])
		c.PageInfo.EndCursor = &u.Name
	}
	return c, nil
}

func (r query) User(ctx context.Context, id string) (*row.User, error) {
	r.called(ctx, "Query.user")
	n, err := strconv.Atoi(id)
	if err != nil {
		return nil, errors.New("no such user")
	}
	return r.user(n), nil
}

func (r query) Node(ctx context.Context, id string) (row.Node, error) {
	nodes, err := r.Nodes(ctx, []string{id})
	return nodes[0], err
}

func (r query) Nodes(ctx context.Context, ids []string) ([]row.Node, error) {
	r.called(ctx, "Query.nodes")
	nodes := make([]row.Node, len(ids))
	for i, id := range ids {
		n, err := strconv.Atoi(id[1:])
		switch {
		case err != nil:
		case id[0] == 'u':
			nodes[i] = r.user(n)
		case id[0] == 't':
			nodes[i] = r.team(n)
		case id[0] == 'n':
			nodes[i] = (*row.User)(nil)
		}
	}
	return nodes, nil
}

func (r query) Search(ctx context.Context, text *string) ([]row.Result, error) {
	r.called(ctx, "Query.search")
	results := []row.Result{r.result(1), r.result(2), r.result(3), r.result(5), r.result(6), r.result(7)}
	if text != nil && *text == "null" {
		results[3] = nil
	}
	return results, nil
}

func (r query) Named(ctx context.Context) ([]row.Named, error) {
	r.called(ctx, "Query.named")
	return []row.Named{r.user(1), row.Robot{Name: "r", Model: 1}, nil, r.team(2), r.user(2)}, nil
}

func (r query) Matrix(ctx context.Context) ([][]bool, error) {
	r.called(ctx, "Query.matrix")
	return [][]bool{{true, false}, nil, {false}}, nil
}

func (r query) Counts(ctx context.Context) ([]int, error) {
	r.called(ctx, "Query.counts")
	return nil, nil
}

func (r query) Now(ctx context.Context) (*time.Time, error) {
	r.called(ctx, "Query.now")
	return unless(false, time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)), nil
}

func (r query) Fails(ctx context.Context) (*string, error) {
	r.called(ctx, "Query.fails")
	return nil, errors.New("it failed")
}

func (r query) FailsHard(ctx context.Context) (string, error) {
	r.called(ctx, "Query.failsHard")
	return "", errors.New("it failed hard")
}

func (r query) Nothing(ctx context.Context) (*row.User, error) {
	r.called(ctx, "Query.nothing")
	return nil, nil
}

type mutation struct{ *Resolver }

func (r mutation) Rename(ctx context.Context, input model.RenameInput) (*model.RenamePayload, error) {
	r.called(ctx, "Mutation.rename")
	n, err := strconv.Atoi(input.ID)
	if err != nil {
		return nil, errors.New("no such user")
	}
	u := *r.user(n)
	u.Name = input.Name
	return &model.RenamePayload{User: &u}, nil
}

func (r mutation) Fail(ctx context.Context, message string) (*model.RenamePayload, error) {
	r.called(ctx, "Mutation.fail")
	return nil, errors.New(message)
}

type team struct{ *Resolver }

func (r team) Members(ctx context.Context, objs []*row.Team) ([][]*row.User, error) {
	r.called(ctx, "Team.members")
	members := make([][]*row.User, len(objs))
	for i, t := range objs {
		for _, u := range r.users {
			if r.team(u.ID.N) == t {
				members[i] = append(members[i], u)
			}
		}
	}
	return members, nil
}

func (r team) Lead(ctx context.Context, objs []*row.Team) ([]*row.User, error) {
	r.called(ctx, "Team.lead")
	leads := make([]*row.User, len(objs))
	for i, t := range objs {
		if t.ID.N != 3 {
			leads[i] = r.user(t.ID.N)
		}
	}
	return leads, nil
}

type user struct{ *Resolver }

func (r user) Status(ctx context.Context, objs []*row.User) ([]model.Status, error) {
	return forUsers(ctx, r.Resolver, "User.status", objs, func(int) model.Status { return model.StatusActive })
}

func (r user) Previous(ctx context.Context, objs []*row.User) ([]*model.Status, error) {
	return forUsers(ctx, r.Resolver, "User.previous", objs, func(n int) *model.Status {
		return unless(n%2 == 0, model.StatusSuspended)
	})
}

func (r user) Team(ctx context.Context, objs []*row.User) ([]*row.Team, error) {
	return forUsers(ctx, r.Resolver, "User.team", objs, func(n int) *row.Team {
		if n%6 == 0 {
			return nil
		}
		return r.team(n)
	})
}

func (r user) Home(ctx context.Context, objs []*row.User) ([]*row.Team, error) {
	return forUsers(ctx, r.Resolver, "User.home", objs, func(n int) *row.Team {
		if n%5 == 0 {
			return nil
		}
		return r.team(n + 1)
	})
}

func (r user) Friends(ctx context.Context, objs []*row.User, first *int) ([][]*row.User, error) {
	return forUsers(ctx, r.Resolver, "User.friends", objs, func(n int) []*row.User {
		if n%7 == 0 || first == nil {
			return nil
		}
		return r.friends[n-1][:min(*first, 3)]
	})
}

func (r user) Pals(ctx context.Context, objs []*row.User) ([][]*row.User, error) {
	return forUsers(ctx, r.Resolver, "User.pals", objs, func(n int) []*row.User {
		switch n % 4 {
		case 0:
			return nil
		case 1:
			return []*row.User{r.user(n + 1), nil, r.user(n + 2)}
		default:
			return []*row.User{r.user(n + 1)}
		}
	})
}

func (r user) Boss(ctx context.Context, objs []*row.User) ([]*row.User, error) {
	return forUsers(ctx, r.Resolver, "User.boss", objs, func(n int) *row.User {
		if n == 1 {
			return nil
		}
		return r.user(n - 1)
	})
}

func (r user) Favourite(ctx context.Context, objs []*row.User) ([]row.Result, error) {
	return forUsers(ctx, r.Resolver, "User.favourite", objs, r.result)
}

func (r user) Can(ctx context.Context, objs []*row.User, permission string) ([]bool, error) {
	return forUsers(ctx, r.Resolver, "User.can", objs, func(n int) bool { return n%len(permission) == 0 })
}

func (r user) Rank(ctx context.Context, objs []*row.User) ([]*int, error) {
	return forUsers(ctx, r.Resolver, "User.rank", objs, func(n int) *int { return unless(n%2 == 0, n) })
}

// errorForSome returns an error for every third user, beginning with the first.
func errorForSome(users []*row.User) error {
	errs := make(graphql.BatchErrorList, len(users))
	for i, u := range users {
		if u != nil && u.ID.N%3 == 1 {
			errs[i] = errors.New("risk came true for " + u.Name)
		}
	}
	return errs
}

func (r user) Risky(ctx context.Context, objs []*row.User) ([]*int, error) {
	results, _ := r.Rank(ctx, objs)
	return results, errorForSome(objs)
}

func (r user) RiskyTeam(ctx context.Context, objs []*row.User) ([]*row.Team, error) {
	results, _ := forUsers(ctx, r.Resolver, "User.riskyTeam", objs, r.team)
	return results, errorForSome(objs)
}

func (r user) Broken(ctx context.Context, _ []*row.User) ([]*string, error) {
	r.called(ctx, "User.broken")
	return nil, errors.New("it is broken")
}

func (r user) BrokenTeam(ctx context.Context, _ []*row.User) ([]*row.Team, error) {
	r.called(ctx, "User.brokenTeam")
	return nil, errors.New("the team is broken")
}

func (r user) Panics(ctx context.Context, _ []*row.User) ([]*string, error) {
	r.called(ctx, "User.panics")
	panic("at the disco")
}

func (r user) Grid(ctx context.Context, objs []*row.User) ([][][]row.Node, error) {
	return forUsers(ctx, r.Resolver, "User.grid", objs, func(n int) [][]row.Node {
		switch n % 3 {
		case 0:
			return nil
		case 1:
			return [][]row.Node{{r.user(n), nil}, {}, {r.team(n), r.user(n + 1)}}
		default:
			return [][]row.Node{{r.team(n)}, nil}
		}
	})
}

func (r user) Flags(ctx context.Context, objs []*row.User) ([][][]bool, error) {
	return forUsers(ctx, r.Resolver, "User.flags", objs, func(n int) [][]bool {
		return [][]bool{{n%2 == 0}, {}}
	})
}
