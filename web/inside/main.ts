import '../shared/design.css';
