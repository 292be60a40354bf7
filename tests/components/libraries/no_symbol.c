/* A shared object that is no component. */
int something_else = 1;
