"""Tables, connections and statements, a file for each noun."""
