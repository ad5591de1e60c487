module example.com/passport

go 1.18
