package job

import (
	"encoding/json"
	"reflect"
	"testing"
)

// fill sets everything that can be reached from v and is written as JSON to something.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("json") != "-" {
				fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Float64:
		v.SetFloat(1.0 / 3)
	}
}

// TestRequest: what is asked for is the same when it is read back, to the last setting.
func TestRequest(t *testing.T) {
	var q, read request
	fill(reflect.ValueOf(&q).Elem())
	text, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(q, read) {
		t.Errorf("%s was read as %+v, and is %+v", text, read, q)
	}
	if q.Conversion.Request.Rank != 3 || len(q.Stats) != 2 {
		t.Errorf("nothing was filled in: %+v", q)
	}
}
