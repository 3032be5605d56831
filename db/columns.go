package db

import (
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Columns returns the columns of T's table for the fields, which are JSON names;
// it ignores names that T does not have. The columns always include ids, because they
// identify the row and lead to others. If fields is nil, Columns returns every column.
func Columns[T any](d *DB, fields []string) []string {
	var chosen []string
	for _, c := range d.columnsOf(reflect.TypeFor[T]()) {
		if fields == nil || c.isID || c.field != "" && slices.Contains(fields, c.field) {
			chosen = append(chosen, c.name)
		}
	}
	return chosen
}

type column struct {
	name, field string
	isID        bool
}

var columnCache sync.Map // reflect.Type to []column

func (d *DB) columnsOf(row reflect.Type) []column {
	if known, ok := columnCache.Load(row); ok {
		return known.([]column)
	}
	var all []column
	for _, f := range d.Table(row).Fields {
		field := f.StructField.Tag.Get("json")
		if field == "-" {
			field = ""
		}
		all = append(all, column{name: f.Name, field: field, isID: strings.HasPrefix(f.IndirectType.Name(), "ID[")})
	}
	columnCache.Store(row, all)
	return all
}
