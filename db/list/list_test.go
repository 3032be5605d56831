package list_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"roster/db"
	"roster/db/dbtest"
	"roster/db/list"
	"roster/problem"
)

// book is a row of a table that only these tests have.
type book struct {
	ID      uuid.UUID
	Shelf   int
	Title   string
	Printed *time.Time
}

// shelved is a book in the lists of several shelves.
type shelved struct {
	book   `bun:",extend"`
	Parent int
}

// library makes 12 books on shelves 1 and 3: some titles and years twice, some years
// unknown.
func library(t *testing.T) *db.DB {
	t.Helper()
	d := dbtest.New(t)
	for _, text := range []string{
		"create table books (id uuid primary key default gen_random_uuid(), shelf int, title text collate \"C\", printed timestamptz)",
		`insert into books (shelf, title, printed) select 1 + 2 * (n % 2), 'Title ' || n / 2, case when n % 4 > 0 then timestamptz '2001-02-03 04:05:06.789Z' + n / 3 * interval '1 year' end
			from generate_series(1, 12) n`,
	} {
		if _, err := d.NewRaw(text).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

var (
	byTitle = list.Key[book]{Name: "TITLE", Expression: "b.title", Column: "title", Type: list.Text, Value: func(b *book) string { return b.Title }}
	byYear  = list.Key[book]{
		Name: "YEAR", Expression: "coalesce(b.printed, '-infinity')", Column: "printed", Type: list.Time,
		Value: func(b *book) string { return list.TimeValue(b.Printed) },
	}
)

func books(key list.Key[book], descending bool) list.Query[book] {
	return list.Query[book]{
		Name: "books", From: "books b", Alias: "b", Columns: []string{"id"}, Conditions: []list.Clause{list.Filter("b.title <> ?", "")},
		Key: key, Descending: descending, ID: bookID,
	}
}

func bookID(b *book) uuid.UUID { return b.ID }

func titleOf(b *book) list.Cursor { return list.Cursor{Value: b.Title, ID: b.ID} }

// byShelf is the books of each of the shelves.
func byShelf(shelves []int, descending bool) list.ByParent[shelved, book] {
	order := list.Order{Name: "TITLE", Expression: "b.title", Tie: "b.id", Type: list.Text, Descending: descending}
	sorted := order
	sorted.Expression, sorted.Tie = "x.title", "x.id"
	return list.ByParent[shelved, book]{
		Name: "shelf.books", Parents: list.Where("unnest(?::int[]) with ordinality as p (shelf, n)", shelves), Number: len(shelves),
		From:       func(q *list.Statement, _ *list.Span) { q.Add("books b") },
		Conditions: []list.Clause{list.Where("b.shelf = p.shelf")},
		Row:        "b.*, p.n as parent", Columns: "x.*", Order: order, Sorted: sorted,
		Node:   func(s *shelved) *book { return &s.book },
		Parent: func(s *shelved) int { return s.Parent },
		Cursor: func(s *shelved) list.Cursor { return titleOf(&s.book) },
	}
}

type read func(list.Page) (*list.Connection[book], error)

// Whichever way a list is read, its pages follow each other without a gap from both
// ends, and say so.
func TestPages(t *testing.T) {
	t.Parallel()
	d := library(t)
	ctx := t.Context()
	all := ids(t, d, "title, id")
	rows, err := db.Select[book](ctx, d, "select * from books order by title, id")
	if err != nil {
		t.Fatal(err)
	}
	inMemory := make([]*book, len(rows))
	for i := range rows {
		inMemory[i] = &rows[i]
	}
	query := func(q list.Query[book]) read {
		return func(p list.Page) (*list.Connection[book], error) { return q.Page(ctx, d, p) }
	}
	shelf := func(i int, descending bool) read {
		return func(p list.Page) (*list.Connection[book], error) {
			pages, rows, err := byShelf([]int{1, 2, 3}, descending).Page(ctx, d, p)
			if err != nil {
				return nil, err
			}
			if n := len(pages[0].Nodes) + len(pages[2].Nodes); len(pages) != 3 || len(rows) < n {
				t.Errorf("%d pages, %d rows with %d nodes", len(pages), len(rows), n)
			}
			return pages[i], nil
		}
	}
	for _, c := range []struct {
		name string
		read read
		want []uuid.UUID
	}{
		{name: "query", read: query(books(byTitle, false)), want: all},
		{name: "query, descending", read: query(books(byTitle, true)), want: reversed(all)},
		{name: "query by time", read: query(books(byYear, false)), want: ids(t, d, "coalesce(printed, '-infinity'), id")},
		{name: "query by time, descending", read: query(books(byYear, true)), want: ids(t, d, "coalesce(printed, '-infinity') desc, id desc")},
		{name: "slice", read: func(p list.Page) (*list.Connection[book], error) {
			return list.Slice(ctx, "slice", p, inMemory, titleOf)
		}, want: all},
		{name: "first of several", read: shelf(0, false), want: ids(t, d, "title, id", 1)},
		{name: "empty one of several", read: shelf(1, false), want: nil},
		{name: "last of several, descending", read: shelf(2, true), want: reversed(ids(t, d, "title, id", 3))},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1, 5, 12, 100} {
				if got := walk(t, c.read, size, false, len(c.want)); !slices.Equal(got, c.want) {
					t.Errorf("forward by %d: %v", size, got)
				}
				if got := walk(t, c.read, size, true, len(c.want)); !slices.Equal(got, c.want) {
					t.Errorf("backward by %d: %v", size, got)
				}
			}
			if len(c.want) > 4 {
				between(t, c.read, c.want)
			}
		})
	}
}

// walk reads the whole list in pages of that size, from the start or from the end.
func walk(t *testing.T, read read, size int, backward bool, total int) []uuid.UUID {
	t.Helper()
	var all []uuid.UUID
	page := list.Page{First: &size}
	if backward {
		page = list.Page{Last: &size}
	}
	for pages := 0; ; pages++ {
		c, err := read(page)
		if err != nil || pages > total {
			t.Fatalf("page %d: %v", pages, err)
		}
		if n, err := c.TotalCount(t.Context()); err != nil || n != total {
			t.Errorf("%d in total, not %d: %v", n, total, err)
		}
		var of []uuid.UUID
		for _, edge := range c.Edges() {
			of = append(of, edge.Node.ID)
		}
		info := c.PageInfo()
		more, cameFrom := info.HasNextPage, info.HasPreviousPage
		page.After = info.EndCursor
		if backward {
			more, cameFrom = cameFrom, more
			page.After, page.Before = nil, info.StartCursor
			all = append(of, all...)
		} else {
			all = append(all, of...)
		}
		if cameFrom != (pages > 0) || more != (len(all) < total) || len(of) > size {
			t.Errorf("page %d with %d nodes: %+v", pages, len(of), info)
		}
		if !more {
			return all
		}
	}
}

// between reads what lies between the second and the last but one.
func between(t *testing.T, read read, all []uuid.UUID) {
	t.Helper()
	c, err := read(list.Page{First: new(len(all))})
	if err != nil {
		t.Fatal(err)
	}
	edges := c.Edges()
	after, before := edges[1].Cursor(), edges[len(edges)-2].Cursor()
	for _, page := range []list.Page{{After: &after, Before: &before}, {Last: new(100), After: &after, Before: &before}} {
		c, err := read(page)
		if err != nil {
			t.Fatal(err)
		}
		var got []uuid.UUID
		for _, node := range c.Nodes {
			got = append(got, node.ID)
		}
		if want := all[2 : len(all)-2]; !slices.Equal(got, want) {
			t.Errorf("between: %v, not %v", got, want)
		}
	}
}

func reversed(all []uuid.UUID) []uuid.UUID {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}

// ids returns the ids of all books, or of the ones on a shelf, in an order of SQL.
func ids(t *testing.T, d *db.DB, order string, shelf ...int) []uuid.UUID {
	t.Helper()
	all, err := db.Select[uuid.UUID](t.Context(), d, "select id from books where shelf = any($1) or $1 is null order by "+order, shelf)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// forged returns the text of a cursor with a check sum that is right.
func forged(list, value string) *string {
	id := uuid.New()
	sum := crc32.ChecksumIEEE(slices.Concat([]byte(list), []byte{0}, id[:], []byte(value)))
	return new(base64.RawURLEncoding.EncodeToString(slices.Concat([]byte{1}, binary.BigEndian.AppendUint32(nil, sum), id[:], []byte(value))))
}

// A page that cannot be asked for is refused before any statement runs, about each
// argument that is wrong.
func TestPagesThatAreRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	asked := func(of list.Type, page list.Page) error {
		_, err := list.Source[book]{
			Name: "books", Type: of, Cursor: titleOf,
			Read: func(context.Context, list.Span) ([]*book, error) { return nil, nil },
		}.Page(ctx, page)
		return err
	}
	one := &book{ID: uuid.New()}
	c, err := list.Slice(ctx, "others", list.Page{}, []*book{one}, titleOf)
	if err != nil {
		t.Fatal(err)
	}
	foreign := c.Edges()[0].Cursor()
	tampered := *forged("books", "a") + "AA"
	for _, c := range []struct {
		name   string
		of     list.Type
		page   list.Page
		fields string // the arguments at fault
	}{
		{name: "nothing", of: list.Text, page: list.Page{}, fields: ""},
		{name: "most", of: list.Text, page: list.Page{First: new(list.MaxSize)}, fields: ""},
		{name: "both", of: list.Text, page: list.Page{First: new(1), Last: new(1)}, fields: "last"},
		{name: "none", of: list.Text, page: list.Page{First: new(0)}, fields: "first"},
		{name: "too many", of: list.Text, page: list.Page{Last: new(list.MaxSize + 1)}, fields: "last"},
		{name: "no cursors", of: list.Text, page: list.Page{First: new(-1), After: new(""), Before: new("?")}, fields: "after before first"},
		{name: "of another list", of: list.Text, page: list.Page{After: &foreign}, fields: "after"},
		{name: "tampered", of: list.Text, page: list.Page{Before: &tampered}, fields: "before"},
		{name: "text", of: list.Text, page: list.Page{After: forged("books", "Ä b")}, fields: ""},
		{name: "zero character", of: list.Text, page: list.Page{After: forged("books", "\x00")}, fields: "after"},
		{name: "no text", of: list.Text, page: list.Page{After: forged("books", "\xff")}, fields: "after"},
		{name: "time", of: list.Time, page: list.Page{After: forged("books", "2001-02-03T04:05:06.7Z")}, fields: ""},
		{name: "time without a zone", of: list.Time, page: list.Page{After: forged("books", "2001-02-03T04:05:06")}, fields: "after"},
		{name: "time elsewhere", of: list.Time, page: list.Page{After: forged("books", "2001-02-03T04:05:06+01:00")}, fields: "after"},
		{name: "before all time", of: list.Time, page: list.Page{After: forged("books", list.TimeValue(nil))}, fields: ""},
		{name: "infinity", of: list.Time, page: list.Page{After: forged("books", "infinity")}, fields: "after"},
		{name: "uuid", of: list.UUID, page: list.Page{After: forged("books", one.ID.String())}, fields: ""},
		{name: "upper case", of: list.UUID, page: list.Page{After: forged("books", "{"+one.ID.String()+"}")}, fields: "after"},
		{name: "uuid, time and text", of: list.UUIDTimeText, page: list.Page{After: forged("books", one.ID.String()+" 2001-02-03T04:05:06.7Z a b")}, fields: ""},
		{name: "no time", of: list.UUIDTimeText, page: list.Page{After: forged("books", one.ID.String()+" a b")}, fields: "after"},
		{name: "uuid alone", of: list.UUIDTimeText, page: list.Page{After: forged("books", one.ID.String())}, fields: "after"},
		{name: "text alone", of: list.UUIDTimeText, page: list.Page{After: forged("books", "a b")}, fields: "after"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := asked(c.of, c.page)
			var fields []string
			for _, p := range problem.All(err) {
				fields = append(fields, p.Field)
			}
			slices.Sort(fields)
			if got := strings.Join(fields, " "); got != c.fields || err != nil && !problem.Is(err, problem.Invalid) {
				t.Errorf("%q: %v", got, err)
			}
		})
	}
}

// An error begins with the name of the list, once, and names the function that
// asked for it.
func TestErrorsSayWhere(t *testing.T) {
	t.Parallel()
	d := library(t)
	ctx := t.Context()
	missing := books(byTitle, false)
	missing.From = "no_books b"
	lists := byShelf([]int{1}, false)
	lists.From = func(q *list.Statement, _ *list.Span) { q.Add("no_books b") }
	counted, err := books(byTitle, false).Page(ctx, d, list.Page{})
	if err != nil {
		t.Fatal(err)
	}
	several := list.NewStatement("several").Add("select id from books")
	_, tooMany := list.SelectOne[uuid.UUID](ctx, d, several)
	_, page := missing.Page(ctx, d, list.Page{})
	_, _, pages := lists.Page(ctx, d, list.Page{})
	if _, err := d.NewRaw("drop table books").Exec(ctx); err != nil {
		t.Fatal(err)
	}
	_, count := counted.TotalCount(ctx)
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{name: "page", err: page, want: `books: list_test.TestErrorsSayWhere: ERROR: relation "no_books" does not exist`},
		{name: "pages", err: pages, want: `shelf.books: list_test.TestErrorsSayWhere: ERROR: relation "no_books" does not exist`},
		{name: "count", err: count, want: `books: list_test.TestErrorsSayWhere: ERROR: relation "books" does not exist`},
		{name: "too many rows", err: tooMany, want: "several: more than one row"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fmt.Sprint(c.err); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s", got)
			}
		})
	}
}
